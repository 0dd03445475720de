using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>One configuration, measured.</summary>
internal sealed record SweepRow
{
    /// <summary>The configuration's name.</summary>
    public required string Name { get; init; }

    /// <summary>The recipe in words.</summary>
    public required string Recipe { get; init; }

    /// <summary>Whether its formats have no operator, so that float weights stood for them.</summary>
    public required bool IsSimulated { get; init; }

    /// <summary>Bits stored for each quantized weight.</summary>
    public required double BitsPerWeight { get; init; }

    /// <summary>The evaluation, compared with the float model's.</summary>
    public required EvaluationResult Evaluation { get; init; }
}

/// <summary>What the paper claims of two configurations, held against the measurements.</summary>
/// <param name="Claim">The claim.</param>
/// <param name="Better">The configuration that should be better.</param>
/// <param name="Worse">The one that should be worse.</param>
/// <param name="Difference">Perplexity of the worse over the better, less 1.</param>
/// <param name="Interval">Its 95 % confidence interval, paired over windows; null with fewer than 8 windows.</param>
internal sealed record SweepClaim(string Claim, string Better, string Worse, double Difference, Interval? Interval)
{
    /// <summary>True: it holds beyond the noise; false: its contrary does; null: the text cannot tell.</summary>
    public bool? Holds => Interval is null ? null : Interval.Low > 0 ? true : Interval.High < 0 ? false : null;
}

/// <summary>What a sweep found.</summary>
internal sealed record SweepReport
{
    /// <summary>The model.</summary>
    public required string Model { get; init; }

    /// <summary>The float model's evaluation.</summary>
    public required EvaluationResult Float { get; init; }

    /// <summary>Names of the configurations in each table, in order.</summary>
    public required IReadOnlyDictionary<SweepTable, IReadOnlyList<string>> Tables { get; init; }

    /// <summary>Every configuration once, in the order of the tables.</summary>
    public required IReadOnlyList<SweepRow> Rows { get; init; }

    /// <summary>The paper's claims that the rows can tell something about.</summary>
    public required IReadOnlyList<SweepClaim> Claims { get; init; }

    /// <summary>The files written: Markdown, JSON and the plot.</summary>
    public required IReadOnlyList<string> Files { get; init; }
}
