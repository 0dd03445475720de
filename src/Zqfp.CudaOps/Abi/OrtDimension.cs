namespace Zqfp.CudaOps;

/// <summary>One dimension of an input or output.</summary>
/// <param name="Size">The size, or null where the model leaves it open.</param>
/// <param name="Name">The symbol the model gives an open size, such as <c>sequence</c>; null without one.</param>
internal readonly record struct OrtDimension(long? Size, string? Name);
