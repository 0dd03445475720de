using System.Globalization;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>A linear weight that is not quantized.</summary>
/// <param name="Name">The layer that it belongs to, as <c>inspect</c> names it.</param>
/// <param name="Bytes">Bytes of the weight.</param>
/// <param name="Reason">Why not.</param>
internal sealed record FloatWeight(string Name, long Bytes, string Reason);

/// <summary>How many of a model's linear weights are quantized. A weight that several layers share counts once.</summary>
internal sealed record Coverage
{
    /// <summary>Below this share of the bytes of the body's linear weights a warning is given.</summary>
    internal const double Expected = 0.9;

    /// <summary>Linear weights of the model, the head's included.</summary>
    public required int Weights { get; init; }

    /// <summary>Their bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>Weights that are quantized.</summary>
    public required int Quantized { get; init; }

    /// <summary>The bytes that these have before.</summary>
    public required long QuantizedBytes { get; init; }

    /// <summary>
    /// Share of the bytes that are quantized of those of the body: all linear weights but the head, what is tied to the embedding, and what
    /// the options leave out. 1 where the body has none.
    /// </summary>
    public required double BodyShare { get; init; }

    /// <summary>The weights that are not quantized, in the order the layers run.</summary>
    public required IReadOnlyList<FloatWeight> Exceptions { get; init; }

    /// <summary>The coverage of a model.</summary>
    internal static Coverage Of(OnnxFile file, ModelLayers model)
    {
        Dictionary<string, (long Bytes, bool IsQuantized, bool IsBody)> weights = new(StringComparer.Ordinal);
        List<FloatWeight> exceptions = [];
        foreach (LayerChoice choice in model.Choices)
        {
            string place = $"{model.Graph.SameData(choice.Layer.Weight).First()}|{choice.Layer.Expert?.Number}";
            long bytes = ModelLayers.BytesOf(file, choice.Layer);
            bool isQuantized = choice.FloatBecause is null;
            bool isBody = isQuantized || !(choice.Layer.IsHead || choice.Layer.IsTied || choice.IsLeftOut);
            if (!isQuantized)
            {
                exceptions.Add(new FloatWeight(choice.Layer.DisplayName, bytes, choice.FloatBecause!));
            }

            (long Bytes, bool IsQuantized, bool IsBody) known = weights.GetValueOrDefault(place);
            weights[place] = (bytes, known.IsQuantized || isQuantized, known.IsBody || isBody);
        }

        foreach (OverlookedProduct product in model.Overlooked)
        {
            long bytes = file.Read(product.Weight).ByteLength;
            exceptions.Add(new FloatWeight(product.DisplayName, bytes, product.Reason));
            weights.TryAdd(product.Weight.Name.Length > 0 ? product.Weight.Name : $"{product.Name}|{weights.Count}",
                (bytes, false, !(product.IsHead || product.IsLeftOut)));
        }

        long body = weights.Values.Where(weight => weight.IsBody).Sum(weight => weight.Bytes);
        long quantized = weights.Values.Where(weight => weight.IsQuantized).Sum(weight => weight.Bytes);
        return new Coverage
        {
            Weights = weights.Count,
            Bytes = weights.Values.Sum(weight => weight.Bytes),
            Quantized = weights.Values.Count(weight => weight.IsQuantized),
            QuantizedBytes = quantized,
            BodyShare = body == 0 ? 1 : (double)quantized / body,
            Exceptions = exceptions,
        };
    }

    /// <summary>Such as <c>14 of 15 linear weights (0.1 of 0.2 MB) are quantized</c>.</summary>
    public string Describe() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Quantized} of {Weights} linear weights ({QuantizedBytes / 1e6:0.0##} of {Bytes / 1e6:0.0##} MB) are quantized");

    /// <summary>The exceptions by reason, such as <c>2 not quantized: makes the logits (lm_head, ..)</c>.</summary>
    public IEnumerable<string> DescribeExceptions() => Exceptions.GroupBy(exception => exception.Reason).Select(group => string.Create(
        CultureInfo.InvariantCulture,
        $"{group.Count()} not quantized: {group.Key} "
        + $"({string.Join(", ", group.Take(3).Select(exception => exception.Name))}{(group.Count() > 3 ? ", .." : "")})"));

    /// <summary>The warning ZQFP2105 where less is quantized than expected, else null.</summary>
    internal Diagnostic? Warning(string modelPath) => BodyShare >= Expected ? null : new Diagnostic(
        "ZQFP2105",
        DiagnosticSeverity.Warning,
        string.Create(CultureInfo.InvariantCulture, $"Only {100 * BodyShare:0.#} % of the bytes of the model's linear weights, head aside, "
            + $"are quantized: {Describe()}; {string.Join("; ", DescribeExceptions())}."),
        modelPath);
}
