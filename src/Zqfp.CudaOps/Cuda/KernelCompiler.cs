using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Zqfp.CudaOps;

/// <summary>A compiled kernel source.</summary>
/// <param name="Cubin">The binary.</param>
/// <param name="Log">What the compiler said; empty when the binary came from the cache.</param>
/// <param name="FromCache">Whether it was read from disk.</param>
/// <param name="Elapsed">Time it took to get it.</param>
internal sealed record CompiledKernel(ReadOnlyMemory<byte> Cubin, string Log, bool FromCache, TimeSpan Elapsed);

/// <summary>
/// Compiles the kernels embedded in this library, for one architecture, through NVRTC and a cache on disk. The key of a
/// cache entry is a hash of the source, every header, the options (architecture included) and the compiler's version.
/// </summary>
internal sealed partial class KernelCompiler
{
    private static readonly Lazy<Dictionary<string, string>> Sources = new(ReadSources);

    private readonly KernelCache _cache;

    /// <summary>Creates a compiler.</summary>
    /// <param name="cache">Where binaries are kept.</param>
    /// <param name="target">What it compiles for; Hopper unless said.</param>
    public KernelCompiler(KernelCache cache, KernelTarget? target = null)
    {
        ArgumentNullException.ThrowIfNull(cache);
        _cache = cache;
        Target = target ?? KernelTarget.HopperItself;
    }

    /// <summary>Whether NVRTC can be loaded.</summary>
    public static bool IsAvailable => NvrtcApi.IsAvailable;

    /// <summary>The compiler's version, major.minor.</summary>
    /// <exception cref="ZqfpException">ZQFP4102: no NVRTC.</exception>
    public static string Version => NvrtcApi.Instance.Version;

    /// <summary>What it compiles for.</summary>
    public KernelTarget Target { get; }

    /// <summary>A compiler for a device.</summary>
    /// <param name="cache">Where binaries are kept.</param>
    /// <param name="computeCapability">10 * major + minor.</param>
    /// <exception cref="ZqfpException">ZQFP4102: no NVRTC.</exception>
    public static KernelCompiler For(KernelCache cache, int computeCapability) =>
        new(cache, KernelTarget.Of(computeCapability, NvrtcApi.Instance.Architectures));

    /// <summary>Compiles a source of the folder Kernels with the given definitions, or takes the result from the cache.</summary>
    /// <param name="source">File name, such as <c>expand.cu</c>.</param>
    /// <param name="definitions">Macros, each <c>NAME=value</c>.</param>
    /// <exception cref="ZqfpException">
    /// ZQFP4102: no NVRTC. ZQFP4105: the source does not compile or, for Hopper, spills registers, or its wgmma would be serialized: a
    /// kernel that is slow is refused like one that is wrong.
    /// </exception>
    public CompiledKernel Compile(string source, params IReadOnlyList<string> definitions)
    {
        ArgumentNullException.ThrowIfNull(source);
        return CompileText(source, Sources.Value[source], definitions);
    }

    /// <summary>As <see cref="Compile"/>, from a text that may include the headers of the folder Kernels.</summary>
    /// <param name="source">What messages call the text.</param>
    /// <param name="text">CUDA C++.</param>
    /// <param name="definitions">Macros, each <c>NAME=value</c>.</param>
    /// <exception cref="ZqfpException">ZQFP4102, ZQFP4105.</exception>
    public CompiledKernel CompileText(string source, string text, params IReadOnlyList<string> definitions)
    {
        ArgumentNullException.ThrowIfNull(definitions);
        Stopwatch watch = Stopwatch.StartNew();
        NvrtcApi nvrtc = NvrtcApi.Instance;
        Dictionary<string, string> headers = Sources.Value.Where(s => s.Key.EndsWith(".cuh", StringComparison.Ordinal)).ToDictionary();
        string[] options =
        [
            $"--gpu-architecture={Target.Architecture}", "-std=c++17", "-default-device",
            .. Target.IsPtx ? (string[])[] : ["--ptxas-options=-v"], .. definitions.Select(d => "-D" + d),
        ];
        string key = Key([nvrtc.Version, source, text, .. headers.SelectMany(h => new[] { h.Key, h.Value }), .. options]);
        if (_cache.TryRead(key) is { } cached)
        {
            return new CompiledKernel(cached, "", true, watch.Elapsed);
        }

        (byte[] cubin, string log) = nvrtc.Compile(source, text, headers, options, Target.IsPtx);
        string? fault = Target == KernelTarget.HopperItself ? FindFault(log) : null;
        if (cubin.Length == 0 || fault is not null)
        {
            throw new ZqfpException("ZQFP4105",
                $"{source} ({string.Join(' ', definitions)}) is not usable as compiled by NVRTC {nvrtc.Version} for {Target.Architecture}: "
                + $"{fault ?? "it does not compile"}. Try another NVRTC of CUDA 12 or 13. The compiler said:\n{log}");
        }

        _cache.Write(key, cubin);
        return new CompiledKernel(cubin, log, false, watch.Elapsed);
    }

    /// <summary>What makes a kernel unfit although it compiles: spilled registers or serialized wgmma. Null when nothing does.</summary>
    internal static string? FindFault(string log)
    {
        if (log.Contains("serialized", StringComparison.OrdinalIgnoreCase) || log.Contains("C7510", StringComparison.Ordinal))
        {
            return "its wgmma instructions would be serialized";
        }

        return SpillPattern().Matches(log).Any(m => m.Groups[1].Value != "0") ? "it spills registers" : null;
    }

    private static string Key(IEnumerable<string> parts)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string part in parts)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static Dictionary<string, string> ReadSources()
    {
        const string Prefix = "Kernels/";
        Dictionary<string, string> sources = new(StringComparer.Ordinal);
        foreach (string name in typeof(KernelCompiler).Assembly.GetManifestResourceNames().Order(StringComparer.Ordinal))
        {
            if (!name.StartsWith(Prefix, StringComparison.Ordinal))
            {
                continue;
            }

            using StreamReader reader = new(typeof(KernelCompiler).Assembly.GetManifestResourceStream(name)!);
            sources[name[Prefix.Length..]] = reader.ReadToEnd();
        }

        return sources;
    }

    [GeneratedRegex(@"(\d+) bytes spill (?:stores|loads)")]
    private static partial Regex SpillPattern();
}
