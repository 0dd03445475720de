namespace Zqfp.CudaOps;

/// <summary>Reads what a loaded model says of itself.</summary>
internal static unsafe class SessionDescription
{
    public static IReadOnlyList<OrtValueInfo> Inputs(OrtApi api, void* session) =>
        Values(api, session, OrtSlot.SessionGetInputCount, OrtSlot.SessionGetInputName, OrtSlot.SessionGetInputTypeInfo);

    public static IReadOnlyList<OrtValueInfo> Outputs(OrtApi api, void* session) =>
        Values(api, session, OrtSlot.SessionGetOutputCount, OrtSlot.SessionGetOutputName, OrtSlot.SessionGetOutputTypeInfo);

    public static IReadOnlyDictionary<string, string> Metadata(OrtApi api, void* session)
    {
        void* allocator = api.DefaultAllocator();
        void* metadata;
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, void**, void*>)api[OrtSlot.SessionGetModelMetadata])(session, &metadata), "reading the model's metadata");
        using var handle = new OrtHandle(api, OrtSlot.ReleaseModelMetadata, metadata);
        byte** keys;
        long count;
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, void*, byte***, long*, void*>)api[OrtSlot.ModelMetadataGetCustomMetadataMapKeys])(
                metadata, allocator, &keys, &count),
            "reading the model's metadata");
        var result = new Dictionary<string, string>(StringComparer.Ordinal);
        for (long i = 0; i < count; i++)
        {
            byte* value;
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, byte*, byte**, void*>)api[OrtSlot.ModelMetadataLookupCustomMetadataMap])(
                    metadata, allocator, keys[i], &value),
                "reading the model's metadata");
            result[api.TakeText(keys[i])] = api.TakeText(value);
        }
        if (keys is not null)
        {
            api.Check(((delegate* unmanaged[Cdecl]<void*, void*, void*>)api[OrtSlot.AllocatorFree])(allocator, keys), "reading the model's metadata");
        }
        return result;
    }

    private static OrtValueInfo[] Values(OrtApi api, void* session, int countSlot, int nameSlot, int typeSlot)
    {
        nuint count;
        api.Check(((delegate* unmanaged[Cdecl]<void*, nuint*, void*>)api[countSlot])(session, &count), "reading the model's signature");
        var result = new OrtValueInfo[(int)count];
        for (nuint i = 0; i < count; i++)
        {
            byte* name;
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, nuint, void*, byte**, void*>)api[nameSlot])(session, i, api.DefaultAllocator(), &name),
                "reading the model's signature");
            void* type;
            api.Check(((delegate* unmanaged[Cdecl]<void*, nuint, void**, void*>)api[typeSlot])(session, i, &type), "reading the model's signature");
            using var handle = new OrtHandle(api, OrtSlot.ReleaseTypeInfo, type);
            result[(int)i] = Describe(api, api.TakeText(name), type);
        }
        return result;
    }

    private static OrtValueInfo Describe(OrtApi api, string name, void* type)
    {
        void* tensor;
        api.Check(((delegate* unmanaged[Cdecl]<void*, void**, void*>)api[OrtSlot.CastTypeInfoToTensorInfo])(type, &tensor), "reading the model's signature");
        if (tensor is null)
        {
            return new OrtValueInfo(name, OrtElementType.Undefined, []);
        }
        long[] sizes = OrtTensorInfo.Dimensions(api, tensor);
        string?[] symbols = OrtTensorInfo.SymbolicDimensions(api, tensor);
        OrtDimension[] dimensions = [.. sizes.Zip(symbols, (size, symbol) => new OrtDimension(size < 0 ? null : size, symbol))];
        return new OrtValueInfo(name, OrtTensorInfo.ElementType(api, tensor), dimensions);
    }
}
