using Zqfp.CudaOps;

namespace Zqfp.Tool;

/// <summary><c>--device</c> of commands that measure.</summary>
internal static class DeviceOption
{
    public static Choice<ZqfpDevice> Create() => new(
        "--device",
        "Where models compute: on the processor, on a Hopper GPU by ONNX Runtime's CUDA provider (cuda), only the quantized products "
        + "on it (cuda-products), or on whichever is there (auto)",
        ("cpu", ZqfpDevice.Cpu),
        ("cuda", ZqfpDevice.Cuda),
        ("cuda-products", ZqfpDevice.CudaProducts),
        ("auto", ZqfpDevice.Auto));
}
