using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Zqfp.CudaOps.Tests;

/// <summary>
/// A device whose memory is the process's and whose kernels are compiled by g++ and run on the processor, one thread of a block after
/// another between two barriers: the same sources and the same host code as on a GPU, without what only a GPU does (asynchronous copies
/// arrive at once).
/// </summary>
public sealed unsafe partial class EmulatedDevice : IDisposable
{
    private static readonly TimeSpan LongestCompilation = TimeSpan.FromMinutes(5);

    private static int _launches;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-emulation").FullName;

    public EmulatedDevice()
    {
        if (IsAvailable)
        {
            WriteSources();
        }

        Layers = Open();
    }

    /// <summary>Whether there is a compiler, and a processor that rounds a product and a sum once, as kernels do.</summary>
    public static bool IsAvailable => Compiler.Value is not null;

    /// <summary>Kernels that ran so far, of all devices.</summary>
    public static int Launches => Volatile.Read(ref _launches);

    /// <summary>The device as it quantizes.</summary>
    internal CudaLayerDevice Layers { get; }

    private static Lazy<string?> Compiler { get; } = new(() => !OperatingSystem.IsLinux() || !Fma.X64.IsSupported
        ? null
        : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, "g++")).FirstOrDefault(File.Exists));

    /// <summary>Another device, the caller's, whose kernels are compiled once with this one's.</summary>
    internal CudaLayerDevice Open()
    {
        var context = new CudaContext(new DriverApi(Function), 0);
        return new CudaLayerDevice(context, new HopperKernels(context, Compile));
    }

    public void Dispose()
    {
        Layers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void WriteSources()
    {
        const string Prefix = "Kernels/";
        Assembly kernels = typeof(KernelCompiler).Assembly;
        foreach (string name in kernels.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            using Stream source = kernels.GetManifestResourceStream(name)!;
            using FileStream target = File.Create(Path.Combine(_folder, name[Prefix.Length..]));
            source.CopyTo(target);
        }

        File.Copy(Path.Combine(AppContext.BaseDirectory, "Emulation", "pipeline.cuh"), Path.Combine(_folder, "pipeline.cuh"), true);
    }

    // The "binary" of a kernel is the path of its library.
    private CompiledKernel Compile(string source, IReadOnlyList<string> definitions)
    {
        string key = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes($"{source} {string.Join(' ', definitions)}")))[..16];
        string library = Path.Combine(_folder, $"{Path.GetFileNameWithoutExtension(source)}-{key}.so");
        if (!File.Exists(library))
        {
            string kernels = string.Concat(KernelName().Matches(File.ReadAllText(Path.Combine(_folder, source)))
                .Select(match => $"EMULATED_KERNEL({match.Groups[1].Value})\n"));
            string unit = Path.ChangeExtension(library, ".cpp");
            File.WriteAllText(unit, $"#include \"{source}\"\n{kernels}");
            using Process compiler = Process.Start(new ProcessStartInfo(Compiler.Value!,
                [
                    "-std=c++17", "-O2", "-mfma", "-ffp-contract=off", "-w", "-shared", "-fPIC", .. definitions.Select(d => "-D" + d), "-o",
                    library, unit,
                ])
            { RedirectStandardError = true })!;
            Task<string> errors = compiler.StandardError.ReadToEndAsync();
            if (!compiler.WaitForExit(LongestCompilation))
            {
                compiler.Kill(entireProcessTree: true);
                Assert.Fail($"g++ compiled '{source}' for more than {LongestCompilation.TotalMinutes} minutes.");
            }

            Assert.True(compiler.ExitCode == 0, errors.Result);
        }

        return new CompiledKernel(Encoding.UTF8.GetBytes(library + '\0'), "", true, TimeSpan.Zero);
    }

    [GeneratedRegex(@"extern ""C"" __global__ void __launch_bounds__\([\w, ]+\)\s+(\w+)\(", RegexOptions.CultureInvariant)]
    private static partial Regex KernelName();

    private static nint Function(string name) => name switch
    {
        "cuMemAlloc_v2" => (nint)(delegate* unmanaged<void**, nuint, int>)&Allocate,
        "cuMemFree_v2" => (nint)(delegate* unmanaged<void*, int>)&Free,
        "cuMemcpyHtoDAsync_v2" or "cuMemcpyDtoHAsync_v2" or "cuMemcpyDtoDAsync_v2" =>
            (nint)(delegate* unmanaged<void*, void*, nuint, nint, int>)&Copy,
        "cuMemcpy2DAsync_v2" => (nint)(delegate* unmanaged<RowCopy*, nint, int>)&CopyRows,
        "cuMemsetD8Async" => (nint)(delegate* unmanaged<void*, byte, nuint, nint, int>)&Fill,
        "cuModuleLoadData" => (nint)(delegate* unmanaged<nint*, byte*, int>)&LoadModule,
        "cuModuleGetFunction" => (nint)(delegate* unmanaged<nint*, nint, byte*, int>)&GetFunction,
        "cuLaunchKernelEx" => (nint)(delegate* unmanaged<LaunchConfiguration*, nint, void**, void**, int>)&Launch,
        _ => NullDriver.Answer(name),
    };

    // Never zeros: what is read before it is written shows.
    [UnmanagedCallersOnly]
    private static int Allocate(void** address, nuint bytes)
    {
        *address = NativeMemory.AlignedAlloc(bytes, 256);
        NativeMemory.Fill(*address, bytes, 0xFF);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Free(void* address)
    {
        NativeMemory.AlignedFree(address);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Copy(void* target, void* source, nuint bytes, nint stream)
    {
        NativeMemory.Copy(source, target, bytes);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int CopyRows(RowCopy* copy, nint stream)
    {
        byte* source = copy->SourceType == RowCopy.Host ? (byte*)copy->SourceHost : (byte*)copy->SourceDevice;
        byte* target = copy->TargetType == RowCopy.Host ? (byte*)copy->TargetHost : (byte*)copy->TargetDevice;
        for (nuint row = 0; row < copy->Height; row++)
        {
            NativeMemory.Copy(source + (row * copy->SourcePitch), target + (row * copy->TargetPitch), copy->Width);
        }

        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Fill(void* target, byte value, nuint bytes, nint stream)
    {
        NativeMemory.Fill(target, bytes, value);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int LoadModule(nint* module, byte* path)
    {
        *module = NativeLibrary.Load(Marshal.PtrToStringUTF8((nint)path)!);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int GetFunction(nint* function, nint module, byte* name)
    {
        *function = NativeLibrary.GetExport(module, "launch_" + Marshal.PtrToStringUTF8((nint)name));
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Launch(LaunchConfiguration* size, nint function, void** arguments, void** extra)
    {
        Interlocked.Increment(ref _launches);
        ((delegate* unmanaged<void**, uint, uint, uint, uint, uint, void>)function)(
            arguments, size->GridX, size->GridY, size->GridZ, size->BlockX, size->SharedBytes);
        return 0;
    }
}

/// <summary>A test that needs g++ on Linux and an x64 processor with FMA; skipped, with a message, elsewhere.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class EmulationFactAttribute : FactAttribute
{
    internal const string Missing = "Kernels run on the processor by g++, on Linux and x64 with FMA: one of these is not here.";

    public EmulationFactAttribute() => Skip = EmulatedDevice.IsAvailable ? null : Missing;
}

/// <summary>As <see cref="EmulationFactAttribute"/>, with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class EmulationTheoryAttribute : TheoryAttribute
{
    public EmulationTheoryAttribute() => Skip = EmulatedDevice.IsAvailable ? null : EmulationFactAttribute.Missing;
}
