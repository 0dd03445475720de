namespace Zqfp.CudaOps;

/// <summary>The error codes of <c>OrtErrorCode</c> that this library returns.</summary>
internal enum OrtStatusCode
{
    Fail = 1,
    InvalidArgument = 2,
}
