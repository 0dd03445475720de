namespace Zqfp.CudaOps;

/// <summary>
/// Positions of functions in the <c>OrtApi</c> table. The table is append-only: a position once given holds in every later
/// version of ONNX Runtime. Names are those of <c>onnxruntime_c_api.h</c>.
/// </summary>
internal static class OrtSlot
{
    public const int CreateStatus = 0;
    public const int GetErrorMessage = 2;
    public const int CreateEnv = 3;
    public const int CreateSessionFromArray = 8;
    public const int CreateSessionOptions = 10;
    public const int SetIntraOpNumThreads = 24;
    public const int CreateCustomOpDomain = 26;
    public const int CustomOpDomainAdd = 27;
    public const int AddCustomOpDomain = 28;
    public const int GetTensorMutableData = 51;
    public const int CreateTensorTypeAndShapeInfo = 57;
    public const int SetTensorElementType = 58;
    public const int SetDimensions = 59;
    public const int GetTensorElementType = 60;
    public const int GetDimensionsCount = 61;
    public const int GetDimensions = 62;
    public const int GetSymbolicDimensions = 63;
    public const int GetTensorTypeAndShape = 65;
    public const int KernelInfoGetAttributeFloat = 85;
    public const int KernelInfoGetAttributeInt64 = 86;
    public const int KernelInfoGetAttributeString = 87;
    public const int KernelContextGetInput = 90;
    public const int KernelContextGetOutput = 91;
    public const int ReleaseEnv = 92;
    public const int ReleaseStatus = 93;
    public const int ReleaseSession = 95;
    public const int ReleaseTensorTypeAndShapeInfo = 99;
    public const int ReleaseSessionOptions = 100;
    public const int KernelContextGetGpuComputeStream = 193;
    public const int KernelInfoGetInputCount = 230;
    public const int KernelInfoGetOutputCount = 231;
    public const int KernelInfoGetInputName = 232;
    public const int KernelInfoGetOutputName = 233;
    public const int KernelInfoGetNodeName = 244;
    public const int KernelInfoGetLogger = 245;
    public const int LoggerLogMessage = 247;
    public const int KernelInfoGetConstantInputTensor = 249;
    public const int ShapeInferContextGetInputCount = 267;
    public const int ShapeInferContextGetInputTypeShape = 268;
    public const int ShapeInferContextGetAttribute = 269;
    public const int ShapeInferContextSetOutputTypeShape = 270;
    public const int SetSymbolicDimensions = 271;
    public const int ReadOpAttr = 272;
    public const int KernelContextParallelFor = 274;
    public const int GetKeyValue = 297;
    public const int ReleaseKeyValuePairs = 300;

    /// <summary>From 1.24 on.</summary>
    public const int KernelInfoGetConfigEntries = 391;

    /// <summary>From 1.24 on.</summary>
    public const int GetTensorElementTypeAndShapeDataReference = 414;
}
