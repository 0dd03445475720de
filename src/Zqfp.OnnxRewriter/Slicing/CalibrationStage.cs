using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>Layers that read the same value, and the slice of the graph that computes this value from what earlier slices kept.</summary>
internal sealed record CalibrationStage
{
    /// <summary>The value that the stage's layers read.</summary>
    public required string Input { get; init; }

    /// <summary>The layers, in the order they run.</summary>
    public required IReadOnlyList<LinearLayer> Layers { get; init; }

    /// <summary>The values that the slice gives to look at: <see cref="Input"/>, and what else the planner was asked for.</summary>
    public required IReadOnlyList<string> Observes { get; init; }

    /// <summary>The slice: the original nodes that compute <see cref="Observes"/>, in the order they run.</summary>
    public required IReadOnlyList<NodeProto> Nodes { get; init; }

    /// <summary>Values the slice reads that earlier slices kept.</summary>
    public required IReadOnlyList<string> Reads { get; init; }

    /// <summary>Values the slice makes that later slices read.</summary>
    public required IReadOnlyList<string> Keeps { get; init; }

    /// <summary>Kept values that nothing after this slice reads.</summary>
    public required IReadOnlyList<string> Drops { get; init; }
}
