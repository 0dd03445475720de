using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Tests;

/// <summary>ONNX Runtime's sessions and values, shorter to write.</summary>
internal static class TestSessions
{
    /// <summary>Runs a session; the caller disposes the outputs.</summary>
    public static OrtValue[] Run(this InferenceSession session, string[] inputNames, OrtValue[] inputs, string[] outputNames)
    {
        using var options = new RunOptions();
        return [.. session.Run(options, inputNames, inputs, outputNames)];
    }

    /// <summary>A tensor over an array; the package knows float16 by a type of its own.</summary>
    public static OrtValue Tensor<T>(T[] values, params long[] shape)
        where T : unmanaged => values is Half[] halves
            ? OrtValue.CreateTensorValueFromMemory(MemoryMarshal.Cast<Half, Float16>(halves).ToArray(), shape)
            : OrtValue.CreateTensorValueFromMemory(values, shape);

    /// <summary>The elements of a float16 tensor.</summary>
    public static ReadOnlySpan<Half> Halves(this OrtValue value) => MemoryMarshal.Cast<byte, Half>(value.GetTensorMutableRawData());

    /// <summary>Options that leave the caller's standard error alone.</summary>
    public static SessionOptions Quiet(int threads = 0) => new()
    {
        IntraOpNumThreads = threads,
        LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
    };
}
