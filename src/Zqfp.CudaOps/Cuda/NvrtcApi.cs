using System.Runtime.InteropServices;
using System.Text;

namespace Zqfp.CudaOps;

/// <summary>The run-time compiler's entry points, looked up by name once.</summary>
internal sealed unsafe class NvrtcApi
{
    private static readonly Lazy<NvrtcApi?> Loaded = new(TryLoad);

    private readonly delegate* unmanaged<int*, int*, int> _version;
    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> _createProgram;
    private readonly delegate* unmanaged<nint*, int> _destroyProgram;
    private readonly delegate* unmanaged<nint, int, byte**, int> _compileProgram;
    private readonly delegate* unmanaged<nint, nuint*, int> _logSize;
    private readonly delegate* unmanaged<nint, byte*, int> _log;
    private readonly delegate* unmanaged<nint, nuint*, int> _cubinSize;
    private readonly delegate* unmanaged<nint, byte*, int> _cubin;
    private readonly delegate* unmanaged<nint, nuint*, int> _ptxSize;
    private readonly delegate* unmanaged<nint, byte*, int> _ptx;

    private NvrtcApi(nint library)
    {
        nint Export(string name) => NativeLibrary.GetExport(library, name);
        _version = (delegate* unmanaged<int*, int*, int>)Export("nvrtcVersion");
        _createProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)Export("nvrtcCreateProgram");
        _destroyProgram = (delegate* unmanaged<nint*, int>)Export("nvrtcDestroyProgram");
        _compileProgram = (delegate* unmanaged<nint, int, byte**, int>)Export("nvrtcCompileProgram");
        _logSize = (delegate* unmanaged<nint, nuint*, int>)Export("nvrtcGetProgramLogSize");
        _log = (delegate* unmanaged<nint, byte*, int>)Export("nvrtcGetProgramLog");
        _cubinSize = (delegate* unmanaged<nint, nuint*, int>)Export("nvrtcGetCUBINSize");
        _cubin = (delegate* unmanaged<nint, byte*, int>)Export("nvrtcGetCUBIN");
        _ptxSize = (delegate* unmanaged<nint, nuint*, int>)Export("nvrtcGetPTXSize");
        _ptx = (delegate* unmanaged<nint, byte*, int>)Export("nvrtcGetPTX");
        var count = (delegate* unmanaged<int*, int>)Export("nvrtcGetNumSupportedArchs");
        var architectures = (delegate* unmanaged<int*, int>)Export("nvrtcGetSupportedArchs");
        int number;
        Check(count(&number), "");
        int[] known = new int[number];
        fixed (int* target = known)
        {
            Check(architectures(target), "");
        }

        Architectures = known;
        int major, minor;
        _version(&major, &minor);
        Version = $"{major}.{minor}";
    }

    /// <summary>Whether the compiler's library can be loaded.</summary>
    public static bool IsAvailable => Loaded.Value is not null;

    /// <exception cref="ZqfpException">ZQFP4102: the library was not found.</exception>
    public static NvrtcApi Instance => Loaded.Value ?? throw new ZqfpException("ZQFP4102",
        "NVIDIA's run-time compiler was not found (looked for libnvrtc.so, libnvrtc.so.13 and libnvrtc.so.12). "
        + "Install the package libnvrtc of CUDA 12 or 13, or put its folder on LD_LIBRARY_PATH.");

    /// <summary>The compiler's version, major.minor.</summary>
    public string Version { get; }

    /// <summary>The architectures it compiles for, 10 * major + minor.</summary>
    public IReadOnlyList<int> Architectures { get; }

    /// <summary>Compiles a program to a cubin, or to PTX.</summary>
    /// <param name="name">Name of the source in messages.</param>
    /// <param name="source">CUDA C++.</param>
    /// <param name="headers">Text of the files it may include, by name.</param>
    /// <param name="options">Compiler options.</param>
    /// <param name="toPtx">Whether the options name a virtual architecture.</param>
    /// <returns>The binary, empty when compilation failed, and the compiler's log.</returns>
    public (byte[] Cubin, string Log) Compile(
        string name, string source, IReadOnlyDictionary<string, string> headers, IReadOnlyList<string> options, bool toPtx = false)
    {
        using NativeStrings texts = new();
        byte** headerTexts = texts.Array(headers.Values);
        byte** headerNames = texts.Array(headers.Keys);
        byte** optionTexts = texts.Array(options);
        nint program;
        Check(_createProgram(&program, texts.Add(source), texts.Add(name), headers.Count, headerTexts, headerNames), name);
        try
        {
            int result = _compileProgram(program, options.Count, optionTexts);
            nuint size;
            Check(_logSize(program, &size), name);
            byte[] log = new byte[(int)size];
            fixed (byte* target = log)
            {
                Check(_log(program, target), name);
            }

            string text = Encoding.UTF8.GetString(log).TrimEnd('\0', '\n');
            if (result != 0)
            {
                return ([], text.Length > 0 ? text : $"nvrtcCompileProgram returned {result}");
            }

            Check(toPtx ? _ptxSize(program, &size) : _cubinSize(program, &size), name);
            byte[] cubin = new byte[(int)size];
            fixed (byte* target = cubin)
            {
                Check(toPtx ? _ptx(program, target) : _cubin(program, target), name);
            }

            return (cubin, text);
        }
        finally
        {
            _destroyProgram(&program);
        }
    }

    private static void Check(int result, string name)
    {
        if (result != 0)
        {
            throw new ZqfpException("ZQFP4105",
                $"NVRTC call failed with {result} on kernel source {name}; its installation may be incomplete (libnvrtc-builtins).");
        }
    }

    private static NvrtcApi? TryLoad()
    {
        nint library = NativeLibraryFinder.Find("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", "nvrtc64_130_0.dll",
            "nvrtc64_120_0.dll");
        if (library == 0)
        {
            return null;
        }

        try
        {
            return new NvrtcApi(library);
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }
    }
}
