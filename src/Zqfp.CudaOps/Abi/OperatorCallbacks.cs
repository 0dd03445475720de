using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// The functions ONNX Runtime calls for an operator in C#. No exception leaves them: it becomes a status whose message names
/// the operator, the node and the rule broken.
/// </summary>
internal static unsafe class OperatorCallbacks
{
    private const int Required = 0;
    private const int Optional = 1;
    private const int DefaultMemory = 0;
    private const int CpuInputMemory = -2;

    /// <summary>
    /// Makes an operator's table, which stays with the process: ONNX Runtime keeps the pointer, and never says when it is done.
    /// </summary>
    public static NativeOperator* CreateTable(OrtApi api, OrtOperator one)
    {
        var native = (NativeOperator*)NativeMemory.AllocZeroed((nuint)sizeof(NativeOperator));
        native->Version = OrtApi.Version;
        native->Handle = GCHandle.ToIntPtr(GCHandle.Alloc(new NativeOperator.Definition(api, one)));
        native->Name = (byte*)Marshal.StringToCoTaskMemUTF8(one.Name);
        native->ExecutionProvider = (byte*)Marshal.StringToCoTaskMemUTF8(one.ExecutionProvider);
        native->GetName = &GetName;
        native->GetExecutionProviderType = &GetExecutionProviderType;
        native->GetInputType = &GetInputType;
        native->GetInputTypeCount = &GetInputTypeCount;
        native->GetOutputType = &GetOutputType;
        native->GetOutputTypeCount = &GetOutputTypeCount;
        native->KernelDestroy = &KernelDestroy;
        native->GetInputCharacteristic = &GetInputCharacteristic;
        native->GetOutputCharacteristic = &GetOutputCharacteristic;
        native->GetInputMemoryType = &GetInputMemoryType;
        native->CreateKernelV2 = &CreateKernel;
        native->KernelComputeV2 = &Compute;
        native->InferOutputShape = &InferShapes;
        native->GetStartVersion = &GetStartVersion;
        native->GetEndVersion = &GetEndVersion;
        return native;
    }

    private static NativeOperator.Definition Of(NativeOperator* native) =>
        (NativeOperator.Definition)GCHandle.FromIntPtr(native->Handle).Target!;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* GetName(NativeOperator* native) => native->Name;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* GetExecutionProviderType(NativeOperator* native) => native->ExecutionProvider;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetInputType(NativeOperator* native, nuint index) => (int)Of(native).Operator.Inputs[(int)index].ElementType;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint GetInputTypeCount(NativeOperator* native) => (nuint)Of(native).Operator.Inputs.Count;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetOutputType(NativeOperator* native, nuint index) => (int)Of(native).Operator.Outputs[(int)index].ElementType;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint GetOutputTypeCount(NativeOperator* native) => (nuint)Of(native).Operator.Outputs.Count;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetInputCharacteristic(NativeOperator* native, nuint index) => Of(native).Operator.Inputs[(int)index].Optional
        ? Optional
        : Required;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetOutputCharacteristic(NativeOperator* native, nuint index) => Of(native).Operator.Outputs[(int)index].Optional
        ? Optional
        : Required;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetInputMemoryType(NativeOperator* native, nuint index) => Of(native).Operator.Inputs[(int)index].OnCpu
        ? CpuInputMemory
        : DefaultMemory;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetStartVersion(NativeOperator* native) => 1;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetEndVersion(NativeOperator* native) => int.MaxValue;

#pragma warning disable CA1031 // No exception may cross into native code.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* CreateKernel(NativeOperator* native, void* api, void* info, void** kernel)
    {
        NativeOperator.Definition definition = Of(native);
        string node = "";
        try
        {
            var kernelInfo = new OrtKernelInfo(definition.Api, info);
            node = kernelInfo.NodeName;
            var made = new Node(definition, node, definition.Operator.CreateKernel(kernelInfo));
            *kernel = (void*)GCHandle.ToIntPtr(GCHandle.Alloc(made));
            return null;
        }
        catch (Exception failure)
        {
            return definition.Api.CreateStatus(OrtStatusCode.InvalidArgument, Describe(definition, node, failure));
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Compute(void* kernel, void* context)
    {
        var node = (Node)GCHandle.FromIntPtr((nint)kernel).Target!;
        try
        {
            node.Kernel.Compute(new OrtKernelContext(node.Definition.Api, context));
            return null;
        }
        catch (Exception failure)
        {
            return node.Definition.Api.CreateStatus(OrtStatusCode.Fail, Describe(node.Definition, node.Name, failure));
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void KernelDestroy(void* kernel)
    {
        if (kernel is null)
        {
            return;
        }
        var handle = GCHandle.FromIntPtr((nint)kernel);
        ((Node)handle.Target!).Kernel.Dispose();
        handle.Free();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* InferShapes(NativeOperator* native, void* context)
    {
        NativeOperator.Definition definition = Of(native);
        try
        {
            definition.Operator.InferShapes(new OrtShapeInference(definition.Api, context));
            return null;
        }
        catch (Exception failure)
        {
            return definition.Api.CreateStatus(OrtStatusCode.Fail, Describe(definition, "", failure));
        }
    }
#pragma warning restore CA1031

    private static string Describe(NativeOperator.Definition definition, string node, Exception failure) =>
        $"{definition.Operator.Name} node '{node}': {(failure is ZqfpException { Code: var code } ? code + ": " : "")}{failure.Message}";

    /// <summary>A kernel with what its error messages need.</summary>
    private sealed record Node(NativeOperator.Definition Definition, string Name, OrtKernel Kernel);
}
