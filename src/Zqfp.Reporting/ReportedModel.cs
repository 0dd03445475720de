using Zqfp.Evaluation;
using Zqfp.Quantization;

namespace Zqfp.Reporting;

/// <summary>What quantizing and measuring one model gave.</summary>
/// <param name="Quantization">What quantizing gave.</param>
/// <param name="Gate">What measuring gave; null where nothing was measured.</param>
internal sealed record ReportedModel(QuantizeReport Quantization, GateResult? Gate)
{
    /// <summary>
    /// Short names of models, each other than the rest: the file's, with as many of its folders as it takes, and a number where all are the
    /// same.
    /// </summary>
    public static string[] Names(IReadOnlyList<ReportedModel> models)
    {
        string[][] paths = [.. models.Select(model => model.Quantization.Output.Split('/', '\\'))];
        int parts = 1;
        while (parts < paths.Max(path => path.Length) && Tails(parts).Distinct().Count() < paths.Length)
        {
            parts++;
        }

        string[] names = [.. Tails(parts)];
        return [.. names.Select((name, i) => names.Count(other => other == name) > 1 ? $"{name} ({i + 1})" : name)];

        IEnumerable<string> Tails(int count) => paths.Select(path => string.Join('/', path.TakeLast(count)));
    }
}
