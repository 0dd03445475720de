using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;

namespace Zqfp.Evaluation;

/// <summary>How a session runs.</summary>
/// <param name="Threads">Threads that compute one operator; 0 for one a processor.</param>
/// <param name="AllowsSpinning">
/// False: threads that wait sleep instead of spinning, which is kinder to whatever else runs on the machine.
/// </param>
/// <param name="Gpu">Number of the GPU, from 0, where one computes.</param>
internal sealed record SessionSettings(int Threads, bool AllowsSpinning = true, int Gpu = 0)
{
    /// <summary>Options of ONNX Runtime with our operators, which the caller disposes once the session is made.</summary>
    /// <exception cref="ZqfpException">ZQFP4nnn: ONNX Runtime or the device is missing.</exception>
    public SessionOptions Create(ZqfpDevice device)
    {
        RuntimeLibrary.Start();
        var options = new SessionOptions { IntraOpNumThreads = Threads, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        try
        {
            options.AddSessionConfigEntry("session.intra_op.allow_spinning", AllowsSpinning ? "1" : "0");
            return options.AddZqfpOperators(device, Gpu);
        }
        catch
        {
            options.Dispose();
            throw;
        }
    }
}
