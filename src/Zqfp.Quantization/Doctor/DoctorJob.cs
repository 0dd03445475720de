using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Looks at what this machine offers for quantizing and running models.</summary>
internal static class DoctorJob
{
    private const long LittleMemory = 2_000_000_000;
    private const long LittleDisk = 1_000_000_000;

    /// <summary>Runs every check. None throws: what is missing is the result.</summary>
    public static DoctorReport Run() => new([.. Software(), .. Hardware(), .. Cuda()]);

    private static IEnumerable<DoctorCheck> Software()
    {
        yield return new DoctorCheck("zqfp", DoctorState.Ok,
            $"{ModelProperties.Version} on {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}");
        LoadedOnnxRuntime? library = null;
        DoctorCheck runtime;
        try
        {
            string version = RuntimeLibrary.Start().GetVersionString();
            library = LoadedOnnxRuntime.Find();
            runtime = new DoctorCheck("ONNX Runtime", DoctorState.Ok, $"{version}, {library.Path}");
        }
        catch (ZqfpException e)
        {
            runtime = new DoctorCheck("ONNX Runtime", DoctorState.Problem, e.Message,
                $"Put the native library where the message says, or set {RuntimeLibrary.PathVariable} to its file.", e.Code);
        }

        yield return runtime;
        if (library is not null)
        {
            yield return new DoctorCheck(
                "execution providers", DoctorState.Ok, string.Join(", ", RuntimeLibrary.Start().GetAvailableProviders()));
            yield return Operators();
        }
    }

    /// <summary>Whether the library takes our operators: what the quantized models need.</summary>
    private static DoctorCheck Operators()
    {
        try
        {
            using SessionOptions options = new SessionOptions().AddZqfpOperators();
            return new DoctorCheck(
                "operators", DoctorState.Ok, $"domain {OperatorNames.Domain} registers; CPU kernels: {CpuFeatures.Kernels}");
        }
        catch (ZqfpException e)
        {
            return new DoctorCheck("operators", DoctorState.Problem, e.Message, "Use another ONNX Runtime library.", e.Code);
        }
    }

    private static IEnumerable<DoctorCheck> Hardware()
    {
        string sets = string.Join(", ", CpuFeatures.InstructionSets);
        yield return new DoctorCheck(
            "CPU",
            DoctorState.Ok,
            string.Create(CultureInfo.InvariantCulture,
                $"{RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} processors, "
                + $"{(sets.Length > 0 ? sets : "no instruction set that the kernels know")}"),
            CpuFeatures.Kernels == "portable" ? "The portable kernels run; a CPU with AVX2 and FMA is several times faster." : null);
        long memory = Machine.AvailableMemory;
        yield return new DoctorCheck("memory", DoctorState.Ok, Gigabytes(memory),
            memory < LittleMemory ? "Little: 'dotnet zqfp plan' tells what a model needs." : null);
        yield return Disk("disk, this folder", ".");
        yield return Disk("disk, temporary files", Path.GetTempPath());
    }

    private static DoctorCheck Disk(string name, string path) => Machine.FreeDisk(path) is { } free
        ? new DoctorCheck(name, DoctorState.Ok, $"{Gigabytes(free)} free",
            free < LittleDisk ? "Little: a quantized model and its work folder go there." : null)
        : new DoctorCheck(name, DoctorState.Missing, "the system does not tell");

    /// <summary>None of this is needed to quantize or to evaluate, which run on the CPU.</summary>
    private static IEnumerable<DoctorCheck> Cuda()
    {
        var cuda = CudaInstallation.Find();
        yield return cuda.DeviceProblem is { } problem
            ? new DoctorCheck("GPU", DoctorState.Missing, "none that can be used", $"Not needed for quantizing. {Sentence(problem)}",
                problem.Code)
            : new DoctorCheck("GPU", DoctorState.Ok,
                $"{cuda.Device}, compute capability {cuda.ComputeCapability / 10}.{cuda.ComputeCapability % 10}, driver for CUDA "
                + $"{cuda.Driver}",
                cuda.ComputeCapability switch
                {
                    90 => null,
                    >= 80 => "The fast CUDA kernels are for Hopper (9.0). Others are right rather than fast here: prefer --profile stock.",
                    _ => "The CUDA kernels need compute capability 8.0: use --profile stock, or the processor.",
                });
        yield return cuda.Nvrtc is { } nvrtc
            ? new DoctorCheck("NVRTC", DoctorState.Ok, nvrtc)
            : new DoctorCheck("NVRTC", DoctorState.Missing, "not found",
                "Only the CUDA kernels need it: install libnvrtc of CUDA 12 or 13, or put its folder on the library path.", "ZQFP4102");
    }

    /// <summary>The error's message as a sentence of its own, without its code.</summary>
    private static string Sentence(ZqfpException error)
    {
        string message = error.Message.Replace($"{error.Code}: ", "", StringComparison.Ordinal);
        return char.ToUpperInvariant(message[0]) + message[1..];
    }

    private static string Gigabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB");
}
