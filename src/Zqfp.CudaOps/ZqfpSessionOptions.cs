using System.Collections.Concurrent;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps;

/// <summary>Lets sessions of Microsoft.ML.OnnxRuntime run models that ZeroQuantFp quantized.</summary>
public static class ZqfpSessionOptions
{
    private const string WeightsEntry = "zqfp.weights";

    // Operators stay with the process, for no one says when the last session that runs them has gone: one set per device.
    private static readonly ConcurrentDictionary<(ZqfpDevice Device, int Ordinal), Lazy<OperatorDomain>> Domains = new();

    /// <summary>Adds the operators of the domain <c>zqfp</c>, computing on the processor.</summary>
    /// <param name="options">The options of one session or of many; they may be disposed before the sessions.</param>
    /// <returns>The same options.</returns>
    /// <exception cref="ZqfpException">
    /// ZQFP4004: the ONNX Runtime loaded is too old. ZQFP4005: it refuses, as it does a second time.
    /// </exception>
    public static SessionOptions AddZqfpOperators(this SessionOptions options) => AddZqfpOperators(options, ZqfpDevice.Cpu);

    /// <summary>
    /// Adds the operators of the domain <c>zqfp</c>, computing on a device; where that is a GPU, also its execution provider.
    /// </summary>
    /// <param name="options">The options of one session or of many; they may be disposed before the sessions.</param>
    /// <param name="device">Where the model computes.</param>
    /// <param name="ordinal">Number of the GPU, from 0; not read for the processor.</param>
    /// <returns>The same options.</returns>
    /// <exception cref="ZqfpException">
    /// ZQFP4004: the ONNX Runtime loaded is too old. ZQFP4005: it refuses, or has no CUDA provider. ZQFP4101 to ZQFP4103: driver, kernel
    /// compiler or a GPU that the kernels serve is missing. Not for <see cref="ZqfpDevice.Auto"/>, which then takes the processor.
    /// </exception>
    public static SessionOptions AddZqfpOperators(this SessionOptions options, ZqfpDevice device, int ordinal = 0)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        switch (device)
        {
            case ZqfpDevice.Cpu:
                return Add(options, ZqfpDevice.Cpu, 0);
            case ZqfpDevice.CudaProducts:
                return Add(options, device, ordinal);
            case ZqfpDevice.Cuda:
                AppendCuda(options, ordinal);
                return Add(options, device, ordinal);
            case ZqfpDevice.Auto:
                return Add(options, HasCuda(options, ordinal) ? ZqfpDevice.Cuda : ZqfpDevice.Cpu, ordinal);
            default:
                throw new ArgumentOutOfRangeException(nameof(device), device, "No such device.");
        }
    }

    /// <summary>
    /// Says in which form sessions on a GPU keep FP4 weights: the configuration entry <c>zqfp.weights</c>, which programs in other
    /// languages and GenAI's <c>session_options</c> can give as well. Read by ONNX Runtime from 1.24 on; older versions keep them packed.
    /// </summary>
    /// <param name="options">The options of one session or of many.</param>
    /// <param name="weights">The form.</param>
    /// <returns>The same options.</returns>
    public static SessionOptions UseZqfpWeights(this SessionOptions options, ZqfpWeights weights)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (!Enum.IsDefined(weights))
        {
            throw new ArgumentOutOfRangeException(nameof(weights), weights, "No such form.");
        }

        options.AddSessionConfigEntry(WeightsEntry, weights.ToString().ToLowerInvariant());
        return options;
    }

    /// <summary>The form that the options of a node's session ask for.</summary>
    /// <exception cref="ZqfpException">ZQFP4006: there is no such form.</exception>
    internal static ZqfpWeights WeightsOf(in OrtKernelInfo info)
    {
        string entry = info.GetConfigEntry(WeightsEntry, "packed");
        return entry switch
        {
            "packed" => ZqfpWeights.Packed,
            "both" => ZqfpWeights.Both,
            "expanded" => ZqfpWeights.Expanded,
            _ => throw new ZqfpException(
                "ZQFP4006", $"The session option {WeightsEntry} is '{entry}'; it can be packed, both or expanded."),
        };
    }

    /// <summary>Adds operators that a test or a benchmark has chosen.</summary>
    internal static SessionOptions Add(this SessionOptions options, OperatorDomain domain)
    {
        bool isHeld = false;
        try
        {
            options.DangerousAddRef(ref isHeld);
            domain.AddTo(options.DangerousGetHandle());
            return options;
        }
        finally
        {
            if (isHeld)
            {
                options.DangerousRelease();
            }
        }
    }

    private static SessionOptions Add(SessionOptions options, ZqfpDevice device, int ordinal) =>
        options.Add(Domains.GetOrAdd((device, device == ZqfpDevice.Cpu ? 0 : ordinal),
            key => new Lazy<OperatorDomain>(() => Create(key.Device, key.Ordinal))).Value);

    private static OperatorDomain Create(ZqfpDevice device, int ordinal)
    {
        OrtApi api = LoadedOnnxRuntime.Find().Api;
        return new OperatorDomain(api, device switch
        {
            ZqfpDevice.Cpu => OperatorSets.Cpu(),
            ZqfpDevice.Cuda => OperatorSets.CudaProvider(OpenOnce(ordinal)),
            _ => OperatorSets.CudaProducts(OpenOnce(ordinal)),
        });
    }

    /// <summary>A device that was opened once, so that what is missing is said before a model is loaded.</summary>
    private static DeviceSession OpenOnce(int ordinal)
    {
        var device = new DeviceSession(ordinal, cacheFolder: null);
        device.Rent();
        device.Return();
        return device;
    }

    private static bool HasCuda(SessionOptions options, int ordinal)
    {
        try
        {
            _ = OpenOnce(ordinal);
            AppendCuda(options, ordinal);
            return true;
        }
        catch (ZqfpException)
        {
            return false;
        }
    }

    private static void AppendCuda(SessionOptions options, int ordinal)
    {
        try
        {
            options.AppendExecutionProvider_CUDA(ordinal);
        }
        catch (Exception e) when (e is OnnxRuntimeException or EntryPointNotFoundException)
        {
            throw new ZqfpException("ZQFP4005",
                $"ONNX Runtime {OrtEnv.Instance().GetVersionString()} cannot use CUDA device {ordinal}: {e.Message} Reference "
                + "Microsoft.ML.OnnxRuntime.Gpu and install CUDA 13's runtime and cuBLAS, or compute on the processor.", inner: e);
        }
    }
}
