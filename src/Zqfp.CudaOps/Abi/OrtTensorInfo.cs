namespace Zqfp.CudaOps;

/// <summary>Reads types and shapes out of the library's descriptions.</summary>
internal static unsafe class OrtTensorInfo
{
    /// <summary>Reads an <c>OrtTensorTypeAndShapeInfo*</c>.</summary>
    public static OrtElementType ElementType(OrtApi api, void* info)
    {
        int type;
        api.Check(((delegate* unmanaged[Cdecl]<void*, int*, void*>)api[OrtSlot.GetTensorElementType])(info, &type),
            "reading a tensor's type");
        return (OrtElementType)type;
    }

    /// <summary>The dimensions; -1 where one is not fixed.</summary>
    public static long[] Dimensions(OrtApi api, void* info)
    {
        long[] shape = new long[Rank(api, info)];
        fixed (long* dimensions = shape)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, long*, nuint, void*>)api[OrtSlot.GetDimensions])(info, dimensions, (nuint)shape.Length),
                "reading a tensor's shape");
        }
        return shape;
    }

    /// <summary>The names of dimensions; null where one has none.</summary>
    public static string?[] SymbolicDimensions(OrtApi api, void* info)
    {
        int rank = Rank(api, info);
        byte** names = stackalloc byte*[rank];
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, byte**, nuint, void*>)api[OrtSlot.GetSymbolicDimensions])(info, names, (nuint)rank),
            "reading a tensor's symbolic shape");
        string?[] result = new string?[rank];
        for (int i = 0; i < rank; i++)
        {
            string name = OrtApi.Text(names[i]);
            result[i] = name.Length == 0 ? null : name;
        }
        return result;
    }

    /// <summary>The number of dimensions.</summary>
    public static int Rank(OrtApi api, void* info)
    {
        nuint rank;
        api.Check(((delegate* unmanaged[Cdecl]<void*, nuint*, void*>)api[OrtSlot.GetDimensionsCount])(info, &rank),
            "reading a tensor's rank");
        return (int)rank;
    }
}
