namespace Zqfp.CudaOps;

/// <summary>One input or output in an operator's signature.</summary>
/// <param name="Name">Its name in the operator's specification; ONNX Runtime knows it by position.</param>
/// <param name="ElementType">Its element type; <see cref="OrtElementType.Undefined"/> accepts any.</param>
/// <param name="Optional">True when it may be absent.</param>
/// <param name="OnCpu">True when a GPU kernel wants it in host memory.</param>
internal sealed record OrtParameter(string Name, OrtElementType ElementType, bool Optional = false, bool OnCpu = false);

/// <summary>
/// An operator written in C#: its signature, its shape inference, and the kernels that compute its nodes. Instances are shared
/// by all sessions and threads, so they hold nothing that changes.
/// </summary>
internal abstract class OrtOperator
{
    /// <summary>The operator's type, as nodes name it.</summary>
    public abstract string Name { get; }

    /// <summary>The execution provider the kernels run under, such as <c>CUDAExecutionProvider</c>; null for the CPU.</summary>
    public virtual string? ExecutionProvider => null;

    /// <summary>The inputs, in order.</summary>
    public abstract IReadOnlyList<OrtParameter> Inputs { get; }

    /// <summary>The outputs, in order.</summary>
    public abstract IReadOnlyList<OrtParameter> Outputs { get; }

    /// <summary>
    /// Makes the kernel of one node, once per session. What it throws becomes the error of loading the model, with the
    /// operator's and the node's name before the message.
    /// </summary>
    public abstract OrtKernel CreateKernel(in OrtKernelInfo info);

    /// <summary>Says types and shapes of outputs from those of inputs. ONNX Runtime ignores what this throws.</summary>
    public abstract void InferShapes(in OrtShapeInference inference);
}

/// <summary>The computation of one node. Called by several threads at once when the session is.</summary>
internal abstract class OrtKernel : IDisposable
{
    /// <summary>Computes the outputs. What it throws becomes the error of the run.</summary>
    public abstract void Compute(in OrtKernelContext context);

    /// <summary>Called when the session goes.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what the kernel holds.</summary>
    /// <param name="disposing">True when called from <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
    }
}
