using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// <c>struct OrtCustomOp</c>: a version and 25 function pointers, 208 bytes, unchanged since 1.18. ONNX Runtime keeps the
/// pointer and never copies the struct, so our own fields may stand behind it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeOperator
{
    public uint Version;
    public void* CreateKernel;
    public delegate* unmanaged[Cdecl]<NativeOperator*, byte*> GetName;
    public delegate* unmanaged[Cdecl]<NativeOperator*, byte*> GetExecutionProviderType;
    public delegate* unmanaged[Cdecl]<NativeOperator*, nuint, int> GetInputType;
    public delegate* unmanaged[Cdecl]<NativeOperator*, nuint> GetInputTypeCount;
    public delegate* unmanaged[Cdecl]<NativeOperator*, nuint, int> GetOutputType;
    public delegate* unmanaged[Cdecl]<NativeOperator*, nuint> GetOutputTypeCount;
    public void* KernelCompute;
    public delegate* unmanaged[Cdecl]<void*, void> KernelDestroy;
    public delegate* unmanaged[Cdecl]<NativeOperator*, nuint, int> GetInputCharacteristic;
    public delegate* unmanaged[Cdecl]<NativeOperator*, nuint, int> GetOutputCharacteristic;
    public delegate* unmanaged[Cdecl]<NativeOperator*, nuint, int> GetInputMemoryType;
    public void* GetVariadicInputMinArity;
    public void* GetVariadicInputHomogeneity;
    public void* GetVariadicOutputMinArity;
    public void* GetVariadicOutputHomogeneity;
    public delegate* unmanaged[Cdecl]<NativeOperator*, void*, void*, void**, void*> CreateKernelV2;
    public delegate* unmanaged[Cdecl]<void*, void*, void*> KernelComputeV2;
    public delegate* unmanaged[Cdecl]<NativeOperator*, void*, void*> InferOutputShape;
    public delegate* unmanaged[Cdecl]<NativeOperator*, int> GetStartVersion;
    public delegate* unmanaged[Cdecl]<NativeOperator*, int> GetEndVersion;
    public void* GetMayInplace;
    public void* ReleaseMayInplace;
    public void* GetAliasMap;
    public void* ReleaseAliasMap;

    /// <summary>A <see cref="GCHandle"/> of the <see cref="Definition"/>; null-terminated names beside it.</summary>
    public nint Handle;
    public byte* Name;
    public byte* ExecutionProvider;

    /// <summary>The operator in C#, and the library its kernels call back.</summary>
    public sealed record Definition(OrtApi Api, OrtOperator Operator);
}
