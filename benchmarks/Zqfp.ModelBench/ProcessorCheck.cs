using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;

namespace Zqfp.ModelBench;

/// <summary>A small decoder of every kind on the device and on the processor: a prompt, then tokens one by one.</summary>
internal sealed class ProcessorCheck(TextWriter report, CudaContext? context, Action<SessionOptions> operators)
{
    private static readonly Scenario[] Scenarios =
    [
        new(1, 70, 0, 128), new(1, 1, 70, 128), new(1, 1, 71, 128), new(2, 33, 0, 128), new(2, 1, 33, 128),
    ];

    /// <summary>
    /// The largest relative difference of the logits. With FP8 activations a last-bit difference may move a code by a sixteenth, which in
    /// a decoder of random weights nothing averages out.
    /// </summary>
    private const double Tolerance = 0.01, Fp8Tolerance = 0.15;

    public bool Run(string folder)
    {
        bool fits = true;
        foreach (WeightKind kind in WeightKind.All)
        {
            string path = Candidate.Write(folder, DecoderShape.Small, kind, DecoderShape.Small.Layers, 128);
            List<Half[]> processor = Logits(path, kind, null);
            fits &= processor.All(logits => logits.All(Half.IsFinite));
            if (context is null)
            {
                report.WriteLine($"{kind.Name}: the processor computes it");
                continue;
            }

            double difference = processor.Zip(Logits(path, kind, context)).Max(pair => Difference(pair.First, pair.Second));
            fits &= difference <= (kind.Operator is not (null or OperatorNames.MatMulW4A16) ? Fp8Tolerance : Tolerance);
            report.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{kind.Name}: {difference:E2} of the logits' norm from the processor's"));
        }

        return fits;
    }

    private List<Half[]> Logits(string path, WeightKind kind, CudaContext? where)
    {
        using var workspace = new Workspace(where, DecoderShape.Small, Scenarios);
        using Candidate candidate = Candidate.Open(path, kind, workspace, operators, where is not null);
        List<Half[]> logits = [];
        foreach (Scenario scenario in Scenarios)
        {
            workspace.Fill(scenario, seed: scenario.Past);
            candidate.Run(scenario, graph: false);
            logits.Add(workspace.Logits(scenario));
        }

        return logits;
    }

    private static double Difference(Half[] expected, Half[] actual)
    {
        double error = 0, norm = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error += Math.Pow((double)actual[i] - (double)expected[i], 2);
            norm += Math.Pow((double)expected[i], 2);
        }

        return double.IsNaN(error) ? double.PositiveInfinity : Math.Sqrt(error / norm);
    }
}
