namespace Zqfp.OnnxRuntime.Native;

/// <summary>
/// Positions of functions in the <c>OrtApi</c> table. The table is append-only: a position once given holds in every later
/// version of ONNX Runtime. Names are those of <c>onnxruntime_c_api.h</c>.
/// </summary>
internal static class OrtSlot
{
    public const int CreateStatus = 0;
    public const int GetErrorCode = 1;
    public const int GetErrorMessage = 2;
    public const int CreateEnv = 3;
    public const int CreateSession = 7;
    public const int CreateSessionFromArray = 8;
    public const int Run = 9;
    public const int CreateSessionOptions = 10;
    public const int SetOptimizedModelFilePath = 11;
    public const int EnableMemPattern = 16;
    public const int DisableMemPattern = 17;
    public const int EnableCpuMemArena = 18;
    public const int DisableCpuMemArena = 19;
    public const int SetSessionGraphOptimizationLevel = 23;
    public const int SetIntraOpNumThreads = 24;
    public const int CreateCustomOpDomain = 26;
    public const int CustomOpDomainAdd = 27;
    public const int AddCustomOpDomain = 28;
    public const int SessionGetInputCount = 30;
    public const int SessionGetOutputCount = 31;
    public const int SessionGetInputTypeInfo = 33;
    public const int SessionGetOutputTypeInfo = 34;
    public const int SessionGetInputName = 36;
    public const int SessionGetOutputName = 37;
    public const int CreateRunOptions = 39;
    public const int RunOptionsSetTerminate = 46;
    public const int CreateTensorAsOrtValue = 48;
    public const int CreateTensorWithDataAsOrtValue = 49;
    public const int GetTensorMutableData = 51;
    public const int CastTypeInfoToTensorInfo = 55;
    public const int CreateTensorTypeAndShapeInfo = 57;
    public const int SetTensorElementType = 58;
    public const int SetDimensions = 59;
    public const int GetTensorElementType = 60;
    public const int GetDimensionsCount = 61;
    public const int GetDimensions = 62;
    public const int GetSymbolicDimensions = 63;
    public const int GetTensorTypeAndShape = 65;
    public const int CreateCpuMemoryInfo = 69;
    public const int AllocatorFree = 76;
    public const int GetAllocatorWithDefaultOptions = 78;
    public const int KernelInfoGetAttributeFloat = 85;
    public const int KernelInfoGetAttributeInt64 = 86;
    public const int KernelInfoGetAttributeString = 87;
    public const int KernelContextGetInputCount = 88;
    public const int KernelContextGetInput = 90;
    public const int KernelContextGetOutput = 91;
    public const int ReleaseEnv = 92;
    public const int ReleaseStatus = 93;
    public const int ReleaseMemoryInfo = 94;
    public const int ReleaseSession = 95;
    public const int ReleaseValue = 96;
    public const int ReleaseRunOptions = 97;
    public const int ReleaseTypeInfo = 98;
    public const int ReleaseTensorTypeAndShapeInfo = 99;
    public const int ReleaseSessionOptions = 100;
    public const int ReleaseCustomOpDomain = 101;
    public const int SessionGetModelMetadata = 111;
    public const int ModelMetadataLookupCustomMetadataMap = 116;
    public const int ReleaseModelMetadata = 118;
    public const int ModelMetadataGetCustomMetadataMapKeys = 123;
    public const int AddSessionConfigEntry = 130;
    public const int KernelContextGetGpuComputeStream = 193;
    public const int SessionOptionsAppendExecutionProviderCudaV2 = 204;
    public const int CreateCudaProviderOptions = 205;
    public const int UpdateCudaProviderOptions = 206;
    public const int ReleaseCudaProviderOptions = 208;
    public const int AddExternalInitializers = 210;
    public const int RegisterCustomOpsLibraryV2 = 228;
    public const int KernelInfoGetInputCount = 230;
    public const int KernelInfoGetInputTypeInfo = 234;
    public const int KernelInfoGetNodeName = 244;
    public const int KernelInfoGetConstantInputTensor = 249;
    public const int ShapeInferContextGetInputCount = 267;
    public const int ShapeInferContextGetInputTypeShape = 268;
    public const int ShapeInferContextGetAttribute = 269;
    public const int ShapeInferContextSetOutputTypeShape = 270;
    public const int SetSymbolicDimensions = 271;
    public const int ReadOpAttr = 272;
    public const int KernelContextParallelFor = 274;
}
