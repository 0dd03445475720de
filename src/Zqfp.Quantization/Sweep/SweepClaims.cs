using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>The order that the paper reports, as pairs of configurations.</summary>
internal static class SweepClaims
{
    private static readonly (string Claim, string Better, string Worse)[] Pairs =
    [
        ("FP8 activations are better than INT8 (W8)", "W8A8 INT-FP", "W8A8 INT-INT"),
        ("FP8 activations are better than INT8 (W4)", "W4A8 INT-FP", "W4A8 INT-INT"),
        ("FP4 is better than INT4", "W4A8 FP-FP", "W4A8 INT-FP"),
        ("GPTQ is better than RTN", "W4A8 FP-FP", "W4A8 FP-FP RTN"),
        ("E2M1 is better than E3M0", "W4A8 FP-FP", "W4A8 FP-FP, weights E3M0"),
        ("E4M3 is better than E5M2", "W4A8 FP-FP", "W4A8 FP-FP, activations E5M2"),
        ("M2 is better than M1 (nearest)", "W4A8 FP-FP M2 nearest", "W4A8 FP-FP M1 nearest"),
        ("M2 nearest is better than M2 ceil", "W4A8 FP-FP M2 nearest", "W4A8 FP-FP M2 ceil"),
        ("LoRC is better than none", "W4A8 FP-FP M2 nearest + LoRC 8", "W4A8 FP-FP M2 nearest"),
        ("rank 32 is better than rank 8", "W4A8 FP-FP M2 nearest + LoRC 32", "W4A8 FP-FP M2 nearest + LoRC 8"),
        ("the preset default is better than the paper's recipe", "preset default", "W4A8 FP-FP M2 nearest + LoRC 8"),
    ];

    /// <summary>Holds the claims against what was measured; those whose configurations are not there are left out.</summary>
    public static IReadOnlyList<SweepClaim> Check(IReadOnlyList<SweepRow> rows)
    {
        Dictionary<string, EvaluationResult> results = rows.ToDictionary(row => row.Name, row => row.Evaluation);
        List<SweepClaim> claims = [];
        foreach ((string claim, string better, string worse) in Pairs)
        {
            if (results.TryGetValue(better, out EvaluationResult? good) && results.TryGetValue(worse, out EvaluationResult? bad))
            {
                var comparison = Comparison.Of(good, bad);
                claims.Add(new SweepClaim(claim, better, worse, comparison.PerplexityIncrease, comparison.IncreaseInterval));
            }
        }

        return claims;
    }
}
