using System.Globalization;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>Says what cannot be right of a measurement: results of models in the wrong roles, and results worse than guessing.</summary>
internal static class Plausibility
{
    private static readonly string[] QuantizedOperators =
        ["DequantizeLinear", "MatMulInteger", "QLinearMatMul", "ConvInteger", "QLinearConv", "DynamicQuantizeMatMul",
            "MatMulNBits", "MatMulBnb4", "QMoE", "GatherBlockQuantized"];

    /// <summary>
    /// Warns (ZQFP1019) where perplexity is above the number of tokens that the model knows, which guessing each of them alike would give.
    /// </summary>
    public static EvaluationResult Checked(EvaluationResult result, ModelFacts facts, IJobObserver observer)
    {
        if (facts.Vocabulary is { } vocabulary && result.Perplexity > vocabulary)
        {
            observer.Warn(new Diagnostic(
                "ZQFP1019",
                DiagnosticSeverity.Warning,
                string.Create(CultureInfo.InvariantCulture,
                    $"Perplexity {result.Perplexity:F1} is above the vocabulary of {vocabulary}: guessing would do better. The tokenizer "
                    + $"or the text is probably another model's, or '{facts.Logits}' does not hold the logits."),
                facts.Path));
        }

        return result;
    }

    /// <summary>Refuses a gate whose quantized model is not quantized; a model that is gated against itself is warned about.</summary>
    /// <exception cref="ZqfpException">ZQFP1017: it has no quantized layer. ZQFP1018: the float model has them instead.</exception>
    public static void RequireRoles(string floatPath, string quantizedPath, IJobObserver observer)
    {
        if (IsQuantized(quantizedPath))
        {
            return;
        }

        if (RealPath.AreSame(floatPath, quantizedPath))
        {
            observer.Warn(new Diagnostic("ZQFP1017", DiagnosticSeverity.Warning,
                "The model is gated against itself and has no quantized layer: the gate says nothing. Name the model that quantizing "
                + "wrote.",
                quantizedPath));
            return;
        }

        throw IsQuantized(floatPath)
            ? new ZqfpException("ZQFP1018",
                $"The model that is gated has no quantized layer, and the float model '{floatPath}' has: the two seem to be swapped.",
                quantizedPath)
            : new ZqfpException("ZQFP1017",
                "The model that is gated has no quantized layer, so there is no loss to measure. Name the model that quantizing wrote.",
                quantizedPath);
    }

    private static bool IsQuantized(string path)
    {
        using OnnxFile file = OnnxFile.Open(path);
        return file.Envelope.MetadataProps.Any(entry => entry.Key == ModelProperties.LayersKey && entry.Value != "0")
            || file.Graph.Node.Any(node => node.Domain == OperatorNames.Domain || QuantizedOperators.Contains(node.OpType));
    }
}
