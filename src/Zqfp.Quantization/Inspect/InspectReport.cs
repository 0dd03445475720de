namespace Zqfp.Quantization;

/// <summary>One product with a constant weight.</summary>
internal sealed record InspectedLayer
{
    /// <summary>The layer's name.</summary>
    public required string Name { get; init; }

    /// <summary>The module it was in PyTorch, where the exporter wrote that down.</summary>
    public string? Module { get; init; }

    /// <summary>The operator that computes it, such as <c>MatMul</c>.</summary>
    public required string Operator { get; init; }

    /// <summary>Shape of the weight: [N, K] (outputs, inputs) of a linear layer, else as stored.</summary>
    public required IReadOnlyList<long> Shape { get; init; }

    /// <summary>Element type of the weight as stored, such as <c>float16</c>.</summary>
    public required string Type { get; init; }

    /// <summary>How many experts there are, of one of them; else null.</summary>
    public int? Experts { get; init; }

    /// <summary>A name for all experts of the product that the expert belongs to, such as <c>mlp.experts.*.fc1</c>; else null.</summary>
    public string? Group { get; init; }

    /// <summary>Bytes of the weight.</summary>
    public required long Bytes { get; init; }

    /// <summary>Bytes of what would replace it, or null where it would be left as it is.</summary>
    public long? QuantizedBytes { get; init; }

    /// <summary>Why it would be left as it is, or null where it would be quantized.</summary>
    public string? Reason { get; init; }
}

/// <summary>An input or output of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Element type, such as <c>int64</c>.</param>
/// <param name="Shape">Dimensions: numbers, names, or <c>?</c>.</param>
internal sealed record InspectedValue(string Name, string Type, IReadOnlyList<string> Shape);

/// <summary>What a model is made of, and what would be done to it.</summary>
internal sealed record InspectReport
{
    /// <summary>The model.</summary>
    public required string Model { get; init; }

    /// <summary>Version of the file format.</summary>
    public required long IrVersion { get; init; }

    /// <summary>Operator sets by domain; the default domain is the empty name.</summary>
    public required IReadOnlyDictionary<string, long> Opsets { get; init; }

    /// <summary>The program that wrote the model, with its version; may be empty.</summary>
    public required string Producer { get; init; }

    /// <summary>The model's own properties.</summary>
    public required IReadOnlyDictionary<string, string> Properties { get; init; }

    /// <summary>What the model reads.</summary>
    public required IReadOnlyList<InspectedValue> Inputs { get; init; }

    /// <summary>What the model makes.</summary>
    public required IReadOnlyList<InspectedValue> Outputs { get; init; }

    /// <summary>The recipe that the layers' future is told for.</summary>
    public required string Recipe { get; init; }

    /// <summary>Products with a constant weight, in the order they run.</summary>
    public required IReadOnlyList<InspectedLayer> Layers { get; init; }

    /// <summary>The tables that token ids are looked up in.</summary>
    public IReadOnlyList<InspectedLayer> Embeddings { get; init; } = [];

    /// <summary>How many of the linear weights would be quantized, and why the others would not.</summary>
    public required Coverage Coverage { get; init; }

    /// <summary>Layers that would be quantized.</summary>
    public required int QuantizedLayers { get; init; }

    /// <summary>Bytes of the weights and embeddings that are replaced; a weight that layers share counts once.</summary>
    public required long QuantizableBytes { get; init; }

    /// <summary>Bytes of what would replace those weights.</summary>
    public required long QuantizedBytes { get; init; }

    /// <summary>Bytes of all other initializers.</summary>
    public required long OtherBytes { get; init; }

    /// <summary>Bytes of the model's files.</summary>
    public required long FileBytes { get; init; }
}
