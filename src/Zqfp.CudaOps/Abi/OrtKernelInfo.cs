
namespace Zqfp.CudaOps;

/// <summary>What is known of a node when its kernel is made: name, attributes, constant inputs.</summary>
internal readonly unsafe ref struct OrtKernelInfo
{
    private readonly OrtApi _api;
    private readonly void* _info;

    internal OrtKernelInfo(OrtApi api, void* info)
    {
        _api = api;
        _info = info;
    }

    /// <summary>The node's name in the model; may be empty.</summary>
    public string NodeName
    {
        get
        {
            nuint size = 0;
            var get = (delegate* unmanaged[Cdecl]<void*, byte*, nuint*, void*>)_api[OrtSlot.KernelInfoGetNodeName];
            _api.Check(get(_info, null, &size), "reading a node's name");
            byte[] text = new byte[(int)size];
            fixed (byte* bytes = text)
            {
                _api.Check(get(_info, bytes, &size), "reading a node's name");
                return OrtApi.Text(bytes);
            }
        }
    }

    /// <summary>True when the node gives an input, be it constant or computed.</summary>
    public bool HasInput(int index) => HasName(OrtSlot.KernelInfoGetInputCount, OrtSlot.KernelInfoGetInputName, index);

    /// <summary>True when the node names an output.</summary>
    public bool HasOutput(int index) => HasName(OrtSlot.KernelInfoGetOutputCount, OrtSlot.KernelInfoGetOutputName, index);

    /// <summary>A number attribute, or <paramref name="otherwise"/> where the node has none.</summary>
    public float GetFloat(string name, float otherwise)
    {
        using NativeText text = NativeText.Utf8(name);
        float value;
        return _api.Succeeded(((delegate* unmanaged[Cdecl]<void*, byte*, float*, void*>)_api[OrtSlot.KernelInfoGetAttributeFloat])(
            _info, text.Pointer, &value))
            ? value
            : otherwise;
    }

    /// <summary>An integer attribute, or <paramref name="otherwise"/> where the node has none.</summary>
    public long GetInt64(string name, long otherwise)
    {
        using NativeText text = NativeText.Utf8(name);
        long value;
        return _api.Succeeded(((delegate* unmanaged[Cdecl]<void*, byte*, long*, void*>)_api[OrtSlot.KernelInfoGetAttributeInt64])(
            _info, text.Pointer, &value))
            ? value
            : otherwise;
    }

    /// <summary>A text attribute, or <paramref name="otherwise"/> where the node has none.</summary>
    public string GetString(string name, string otherwise)
    {
        using NativeText text = NativeText.Utf8(name);
        nuint size = 0;
        var get = (delegate* unmanaged[Cdecl]<void*, byte*, byte*, nuint*, void*>)_api[OrtSlot.KernelInfoGetAttributeString];
        if (!_api.Succeeded(get(_info, text.Pointer, null, &size)))
        {
            return otherwise;
        }
        byte[] value = new byte[(int)size];
        fixed (byte* bytes = value)
        {
            _api.Check(get(_info, text.Pointer, bytes, &size), $"reading attribute '{name}'");
            return OrtApi.Text(bytes);
        }
    }

    /// <summary>
    /// A configuration entry of the session's options, or <paramref name="otherwise"/> where there is none. ONNX Runtime tells it from
    /// 1.24 on.
    /// </summary>
    public string GetConfigEntry(string name, string otherwise)
    {
        if (!_api.Has24)
        {
            return otherwise;
        }

        void* entries;
        var get = (delegate* unmanaged[Cdecl]<void*, void**, void*>)_api[OrtSlot.KernelInfoGetConfigEntries];
        if (!_api.Succeeded(get(_info, &entries)))
        {
            return otherwise;
        }

        using NativeText text = NativeText.Utf8(name);
        byte* value = ((delegate* unmanaged[Cdecl]<void*, byte*, byte*>)_api[OrtSlot.GetKeyValue])(entries, text.Pointer);
        string entry = value is null ? otherwise : OrtApi.Text(value);
        _api.Release(OrtSlot.ReleaseKeyValuePairs, entries);
        return entry;
    }

    /// <summary>
    /// An input that is a constant of the model, visible before the first run. Its memory lives as long as the session and is
    /// host memory also under a GPU provider.
    /// </summary>
    /// <returns>A view with <see cref="OrtTensorView.IsPresent"/> false where the input is absent or not constant.</returns>
    public OrtTensorView ConstantInput(int index)
    {
        int isConstant;
        void* value;
        bool known =
            _api.Succeeded(((delegate* unmanaged[Cdecl]<void*, nuint, int*, void**, void*>)_api[OrtSlot.KernelInfoGetConstantInputTensor])(
            _info, (nuint)index, &isConstant, &value));
        return known && isConstant != 0 && value is not null ? new OrtTensorView(_api, value) : default;
    }

    /// <summary>Writes a warning to the session's log.</summary>
    public void Warn(string message)
    {
        const int Warning = 2;
        void* logger;
        if (!_api.Succeeded(((delegate* unmanaged[Cdecl]<void*, void**, void*>)_api[OrtSlot.KernelInfoGetLogger])(_info, &logger)))
        {
            return;
        }

        using NativeText text = NativeText.Utf8(message), caller = NativeText.Utf8(OperatorNames.Domain);
        int noPath = 0; // An empty text, of characters of one byte or of two.
        var log = (delegate* unmanaged[Cdecl]<void*, int, byte*, void*, int, byte*, void*>)_api[OrtSlot.LoggerLogMessage];
        _ = _api.Succeeded(log(logger, Warning, text.Pointer, &noPath, 0, caller.Pointer));
    }

    private bool HasName(int countSlot, int nameSlot, int index)
    {
        nuint count;
        _api.Check(((delegate* unmanaged[Cdecl]<void*, nuint*, void*>)_api[countSlot])(_info, &count), "counting a node's values");
        if (index >= (int)count)
        {
            return false;
        }
        // What is left out has an empty name, which takes one byte.
        nuint size = 0;
        _api.Check(((delegate* unmanaged[Cdecl]<void*, nuint, byte*, nuint*, void*>)_api[nameSlot])(_info, (nuint)index, null, &size),
            "reading a value's name");
        return size > 1;
    }
}
