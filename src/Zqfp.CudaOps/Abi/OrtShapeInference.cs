using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>Types and shapes of a node's inputs, while a model is being loaded, and the place to say those of its outputs.</summary>
internal readonly unsafe ref struct OrtShapeInference
{
    private const int IntegerAttribute = 1;

    private readonly OrtApi _api;
    private readonly void* _context;

    internal OrtShapeInference(OrtApi api, void* context)
    {
        _api = api;
        _context = context;
    }

    /// <summary>An input's type and dimensions; false where the input is absent. No dimensions: a scalar, or an unknown rank.</summary>
    public bool TryGetInput(int index, out OrtElementType elementType, out IReadOnlyList<OrtDimension> dimensions)
    {
        elementType = OrtElementType.Undefined;
        dimensions = [];
        nuint count;
        _api.Check(((delegate* unmanaged[Cdecl]<void*, nuint*, void*>)_api[OrtSlot.ShapeInferContextGetInputCount])(_context, &count),
            "inferring shapes");
        void* info;
        if (index >= (int)count
            || !_api.Succeeded(((delegate* unmanaged[Cdecl]<void*, nuint, void**, void*>)_api[OrtSlot.ShapeInferContextGetInputTypeShape])(
                _context, (nuint)index, &info))
            || info is null)
        {
            return false;
        }
        elementType = OrtTensorInfo.ElementType(_api, info);
        dimensions =
        [
            .. OrtTensorInfo.Dimensions(_api, info).Zip(
                OrtTensorInfo.SymbolicDimensions(_api, info),
                (size, symbol) => new OrtDimension(size < 0 ? null : size, symbol)),
        ];
        return true;
    }

    /// <summary>An integer attribute, or <paramref name="otherwise"/> where the node has none.</summary>
    public long GetInt64(string name, long otherwise)
    {
        using NativeText text = NativeText.Utf8(name);
        void* attribute;
        if (!_api.Succeeded(((delegate* unmanaged[Cdecl]<void*, byte*, void**, void*>)_api[OrtSlot.ShapeInferContextGetAttribute])(
            _context, text.Pointer, &attribute)))
        {
            return otherwise;
        }
        long value;
        nuint size;
        return _api.Succeeded(((delegate* unmanaged[Cdecl]<void*, int, void*, nuint, nuint*, void*>)_api[OrtSlot.ReadOpAttr])(
            attribute, IntegerAttribute, &value, sizeof(long), &size))
            ? value
            : otherwise;
    }

    /// <summary>Says an output's type and dimensions.</summary>
    public void SetOutput(int index, OrtElementType elementType, IReadOnlyList<OrtDimension> dimensions)
    {
        void* info;
        _api.Check(((delegate* unmanaged[Cdecl]<void**, void*>)_api[OrtSlot.CreateTensorTypeAndShapeInfo])(&info), "inferring shapes");
        byte** names = stackalloc byte*[dimensions.Count];
        long* sizes = stackalloc long[dimensions.Count];
        try
        {
            for (int i = 0; i < dimensions.Count; i++)
            {
                sizes[i] = dimensions[i].Size ?? -1;
                names[i] = (byte*)Marshal.StringToCoTaskMemUTF8(Symbol(dimensions[i]));
            }

            nuint rank = (nuint)dimensions.Count;
            _api.Check(((delegate* unmanaged[Cdecl]<void*, int, void*>)_api[OrtSlot.SetTensorElementType])(info, (int)elementType),
                "inferring shapes");
            _api.Check(((delegate* unmanaged[Cdecl]<void*, long*, nuint, void*>)_api[OrtSlot.SetDimensions])(info, sizes, rank),
                "inferring shapes");
            _api.Check(((delegate* unmanaged[Cdecl]<void*, byte**, nuint, void*>)_api[OrtSlot.SetSymbolicDimensions])(info, names, rank),
                "inferring shapes");
            _api.Check(
                ((delegate* unmanaged[Cdecl]<void*, nuint, void*, void*>)_api[OrtSlot.ShapeInferContextSetOutputTypeShape])(
                    _context, (nuint)index, info),
                "inferring shapes");
        }
        finally
        {
            for (int i = 0; i < dimensions.Count; i++)
            {
                Marshal.FreeCoTaskMem((nint)names[i]);
            }

            _api.Release(OrtSlot.ReleaseTensorTypeAndShapeInfo, info);
        }
    }

    /// <summary>
    /// A dimension of which nothing is known gets a name nobody else has: without one, ONNX Runtime takes its -1 for a size and
    /// hands that on to a Reshape that computes with it; with a shared one, it takes two sizes for equal.
    /// </summary>
    private static string Symbol(OrtDimension dimension) => (dimension.Size, dimension.Name) switch
    {
        (not null, _) => "",
        (null, { Length: > 0 } name) => name,
        _ => $"unknown_{Guid.NewGuid():N}",
    };
}
