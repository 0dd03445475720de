using Zqfp.CudaOps;

namespace Zqfp.Tool;

/// <summary><c>--device</c> of commands that measure.</summary>
internal static class DeviceOption
{
    public static Choice<OperatorDevice> Create() => new(
        "--device",
        "Where the FP4 products of a quantized model compute: on the processor, or on a Hopper GPU (cuda)",
        ("cpu", OperatorDevice.Cpu),
        ("cuda", OperatorDevice.Cuda));
}
