using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>The body of a parallel loop.</summary>
internal interface IParallelBody
{
    /// <summary>Does the part of one index; called by several threads at once, in no order.</summary>
    void Run(int index);
}

/// <summary>One call of a kernel: its inputs, its outputs, and the session's threads.</summary>
internal readonly unsafe ref struct OrtKernelContext
{
    private readonly OrtApi _api;
    private readonly void* _context;

    internal OrtKernelContext(OrtApi api, void* context)
    {
        _api = api;
        _context = context;
    }

    /// <summary>The CUDA stream under the CUDA provider, 0 elsewhere.</summary>
    public nint CudaStream
    {
        get
        {
            void* stream;
            _api.Check(((delegate* unmanaged[Cdecl]<void*, void**, void*>)_api[OrtSlot.KernelContextGetGpuComputeStream])(
                _context, &stream), "getting the CUDA stream");
            return (nint)stream;
        }
    }

    /// <summary>An input that the operator requires.</summary>
    public OrtTensorView Input(int index)
    {
        void* value;
        _api.Check(((delegate* unmanaged[Cdecl]<void*, nuint, void**, void*>)_api[OrtSlot.KernelContextGetInput])(
            _context, (nuint)index, &value), "reading an input");
        return new OrtTensorView(_api, value);
    }

    /// <summary>An output of a given shape, whose memory is not initialized.</summary>
    public OrtTensorView Output(int index, scoped ReadOnlySpan<long> shape) => new(_api, MakeOutput(index, shape));

    /// <summary>An output of a given shape, whose memory is not initialized.</summary>
    /// <param name="index">Position among the outputs.</param>
    /// <param name="type">The element type that shape inference gave it, which is not asked for again.</param>
    /// <param name="shape">The dimensions.</param>
    public OrtTensorView Output(int index, OrtElementType type, scoped ReadOnlySpan<long> shape) =>
        new(_api, MakeOutput(index, shape), type, shape);

    /// <summary>Runs a loop on the session's own threads and returns when it is done. Allocates nothing.</summary>
    /// <param name="count">Indices 0 .. count - 1 are run, each once.</param>
    /// <param name="body">The loop's body, copied.</param>
    public void ParallelFor<TBody>(int count, in TBody body)
        where TBody : struct, IParallelBody, allows ref struct
    {
        TBody local = body;
        if (count == 1)
        {
            local.Run(0);
        }
        if (count <= 1)
        {
            return;
        }
        var loop = new ParallelLoop { Body = &ParallelLoop.RunBody<TBody>, State = Unsafe.AsPointer(ref local) };
        _api.Check(
            ((delegate* unmanaged[Cdecl]<void*, delegate* unmanaged[Cdecl]<void*, nuint, void>, nuint, nuint, void*,
                void*>)_api[OrtSlot.KernelContextParallelFor])(
                _context, &ParallelLoop.RunIndex, (nuint)count, 0, &loop),
            "running a parallel loop");
        loop.Rethrow();
    }

    private void* MakeOutput(int index, scoped ReadOnlySpan<long> shape)
    {
        void* value;
        fixed (long* dimensions = shape)
        {
            _api.Check(
                ((delegate* unmanaged[Cdecl]<void*, nuint, long*, nuint, void**, void*>)_api[OrtSlot.KernelContextGetOutput])(
                    _context, (nuint)index, dimensions, (nuint)shape.Length, &value),
                "making an output");
        }
        return value;
    }

    /// <summary>A loop as ONNX Runtime sees it: a pointer to this, and an index. Lives on the stack of the caller, who waits.</summary>
    private struct ParallelLoop
    {
        public delegate*<void*, int, void> Body;
        public void* State;
        private nint _failure;

        public static void RunBody<TBody>(void* state, int index)
            where TBody : struct, IParallelBody, allows ref struct => Unsafe.AsRef<TBody>(state).Run(index);

        [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
        public static void RunIndex(void* state, nuint index)
        {
            ref ParallelLoop loop = ref *(ParallelLoop*)state;
            try
            {
                loop.Body(loop.State, (int)index);
            }
#pragma warning disable CA1031 // No exception may cross into native code; the first is thrown again by the caller of the loop.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                var handle = GCHandle.Alloc(failure);
                if (Interlocked.CompareExchange(ref loop._failure, GCHandle.ToIntPtr(handle), 0) != 0)
                {
                    handle.Free();
                }
            }
        }

        public readonly void Rethrow()
        {
            if (_failure != 0)
            {
                var handle = GCHandle.FromIntPtr(_failure);
                var failure = (Exception)handle.Target!;
                handle.Free();
                ExceptionDispatchInfo.Throw(failure);
            }
        }
    }
}
