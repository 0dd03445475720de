namespace Zqfp.CudaOps;

/// <summary>One dimension of an input or output.</summary>
/// <param name="Size">The size, or null where the model leaves it open.</param>
/// <param name="Name">The symbol the model gives an open size, such as <c>sequence</c>; null without one.</param>
public readonly record struct OrtDimension(long? Size, string? Name);

/// <summary>An input or output of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="ElementType">The element type; <see cref="OrtElementType.Undefined"/> where it is no tensor.</param>
/// <param name="Dimensions">The dimensions; empty for a scalar, and where the model gives no shape.</param>
public sealed record OrtValueInfo(string Name, OrtElementType ElementType, IReadOnlyList<OrtDimension> Dimensions);
