using System.Globalization;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>Makes an <c>OrtSessionOptions*</c> from a description.</summary>
internal static unsafe class NativeSessionOptions
{
    public static OrtHandle Create(OrtApi api, OrtSessionOptions options)
    {
        OrtHandle handle = api.Create(OrtSlot.CreateSessionOptions, OrtSlot.ReleaseSessionOptions, "creating session options");
        try
        {
            Fill(api, handle.Pointer, options);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>What a session made with the options rests on.</summary>
    public static IEnumerable<SafeHandle> Foundations(OrtSessionOptions options) =>
        options.Domains.Select(domain => (SafeHandle)domain.Handle).Concat(options.ExternalInitializers.Values.Select(value => value.Handle));

    private static void Fill(OrtApi api, void* native, OrtSessionOptions options)
    {
        Call(api, OrtSlot.SetSessionGraphOptimizationLevel, native, (int)options.OptimizationLevel);
        Call(api, OrtSlot.SetIntraOpNumThreads, native, options.IntraOpThreads);
        Call(api, options.MemoryPattern ? OrtSlot.EnableMemPattern : OrtSlot.DisableMemPattern, native);
        Call(api, options.MemoryArena ? OrtSlot.EnableCpuMemArena : OrtSlot.DisableCpuMemArena, native);
        Configure(api, native, "session.intra_op.allow_spinning", options.AllowSpinning ? "1" : "0");
        foreach ((string key, string value) in options.Configuration)
        {
            Configure(api, native, key, value);
        }
        if (options.OptimizedModelPath is not null)
        {
            using NativeText path = NativeText.Path(options.OptimizedModelPath);
            api.Check(((delegate* unmanaged[Cdecl]<void*, byte*, void*>)api[OrtSlot.SetOptimizedModelFilePath])(native, path.Pointer), "naming the optimized model");
        }
        if (options.CudaDevice is int device)
        {
            AddCuda(api, native, device);
        }
        foreach (OrtOperatorDomain domain in options.Domains)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, void*>)api[OrtSlot.AddCustomOpDomain])(native, domain.Handle.Pointer),
                $"adding the operators of domain '{domain.Name}'");
        }
        foreach (string library in options.OperatorLibraries)
        {
            using NativeText path = NativeText.Path(library);
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, byte*, void*>)api[OrtSlot.RegisterCustomOpsLibraryV2])(native, path.Pointer),
                $"adding the operators of '{library}'");
        }
        if (options.ExternalInitializers.Count > 0)
        {
            AddInitializers(api, native, options.ExternalInitializers);
        }
    }

    /// <summary>
    /// Given twice on purpose: as an external initializer the value is the content the graph is checked and rewritten with (a copy
    /// that goes when loading ends); as a shared one the session then reads it where it lies.
    /// </summary>
    private static void AddInitializers(OrtApi api, void* native, IReadOnlyDictionary<string, OrtValue> initializers)
    {
        using var names = new Utf8Names(initializers.Keys);
        nint[] texts = new nint[initializers.Count];
        nint[] values = new nint[initializers.Count];
        int i = 0;
        foreach ((string name, OrtValue value) in initializers)
        {
            names.TryGet(name, out texts[i]);
            values[i++] = (nint)value.Handle.Pointer;
        }
        for (i = 0; i < texts.Length; i++)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, nint, nint, void*>)api[OrtSlot.AddInitializer])(native, texts[i], values[i]),
                "giving a shared initializer");
        }
        fixed (nint* textList = texts, valueList = values)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, nint*, nint*, nuint, void*>)api[OrtSlot.AddExternalInitializers])(native, textList, valueList, (nuint)i),
                "giving external initializers");
        }
    }

    private static void AddCuda(OrtApi api, void* native, int device)
    {
        using OrtHandle cuda = api.Create(OrtSlot.CreateCudaProviderOptions, OrtSlot.ReleaseCudaProviderOptions, "choosing the CUDA provider");
        using NativeText key = NativeText.Utf8("device_id");
        using NativeText value = NativeText.Utf8(device.ToString(CultureInfo.InvariantCulture));
        byte* keyText = key.Pointer;
        byte* valueText = value.Pointer;
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, byte**, byte**, nuint, void*>)api[OrtSlot.UpdateCudaProviderOptions])(cuda.Pointer, &keyText, &valueText, 1),
            $"choosing CUDA device {device}");
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, void*, void*>)api[OrtSlot.SessionOptionsAppendExecutionProviderCudaV2])(native, cuda.Pointer),
            $"choosing CUDA device {device}");
    }

    private static void Configure(OrtApi api, void* native, string key, string value)
    {
        using NativeText keyText = NativeText.Utf8(key);
        using NativeText valueText = NativeText.Utf8(value);
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, byte*, byte*, void*>)api[OrtSlot.AddSessionConfigEntry])(native, keyText.Pointer, valueText.Pointer),
            $"setting '{key}' to '{value}'");
    }

    private static void Call(OrtApi api, int slot, void* native) =>
        api.Check(((delegate* unmanaged[Cdecl]<void*, void*>)api[slot])(native), "setting session options");

    private static void Call(OrtApi api, int slot, void* native, int value) =>
        api.Check(((delegate* unmanaged[Cdecl]<void*, int, void*>)api[slot])(native, value), "setting session options");
}
