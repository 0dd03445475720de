
namespace Zqfp.CudaOps;

/// <summary>The rules of the operators' inputs, each said in the words of <c>docs/operators.md</c>.</summary>
internal static class Require
{
    /// <summary>An input that must be a constant of the model.</summary>
    /// <exception cref="ZqfpException">It is not.</exception>
    public static OrtTensorView Constant(in OrtKernelInfo info, int index, string name)
    {
        OrtTensorView view = info.ConstantInput(index);
        return view.IsPresent ? view : throw new ZqfpException("ZQFP4006", $"{name} (input {index}) must be an initializer of the model.");
    }

    /// <summary>An input that may be left out, and otherwise must be a constant of the model.</summary>
    /// <exception cref="ZqfpException">It is computed.</exception>
    public static OrtTensorView OptionalConstant(in OrtKernelInfo info, int index, string name) =>
        info.HasInput(index) ? Constant(info, index, name) : default;

    /// <exception cref="ZqfpException">The shape is another.</exception>
    public static void Shape(in OrtTensorView view, string name, string rule, params ReadOnlySpan<long> expected)
    {
        if (!view.Shape.SequenceEqual(expected))
        {
            throw new ZqfpException("ZQFP4006", $"{name} must be {rule} = {Text(expected)}; it is {Text(view.Shape)}.");
        }
    }

    /// <exception cref="ZqfpException">The type is none of those allowed.</exception>
    public static void Type(in OrtTensorView view, string name, params ReadOnlySpan<OrtElementType> allowed)
    {
        foreach (OrtElementType type in allowed)
        {
            if (view.ElementType == type)
            {
                return;
            }
        }
        throw new ZqfpException("ZQFP4006", $"{name} must be of type {string.Join(" or ", allowed.ToArray())}; it is {view.ElementType}.");
    }

    /// <summary>The tokens X [.., K] of an operator that reads them unquantized: float or float16, of at least one dimension.</summary>
    /// <exception cref="ZqfpException">X is of another type, or a scalar.</exception>
    public static (int Tokens, int Columns) FloatTokens(in OrtTensorView x)
    {
        Type(x, "X", OrtElementType.Float, OrtElementType.Float16);
        ReadOnlySpan<long> shape = x.Shape;
        return shape.Length > 0
            ? (checked((int)OrtElementTypes.ElementCount(shape[..^1])), checked((int)shape[^1]))
            : throw new ZqfpException("ZQFP4006", "X must have at least one dimension.");
    }

    /// <summary>The elements of a float or float16 tensor, as floats.</summary>
    /// <exception cref="ZqfpException">It is of another type.</exception>
    public static unsafe NativeBuffer Floats(in OrtTensorView view, string name)
    {
        Type(view, name, OrtElementType.Float, OrtElementType.Float16);
        var buffer = new NativeBuffer(view.ElementCount * sizeof(float));
        if (view.ElementType == OrtElementType.Float)
        {
            view.AsSpan<float>().CopyTo(new Span<float>(buffer.Floats, checked((int)view.ElementCount)));
        }
        else
        {
            HalfConversion.ToSingle((Half*)view.DataPointer, buffer.Floats, checked((int)view.ElementCount));
        }
        return buffer;
    }

    public static string Text(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";
}
