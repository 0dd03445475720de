namespace Zqfp.CudaOps;

/// <summary>
/// Optional inputs of operators that have function bodies. A body cannot do without an input, so that models with bodies give each of
/// them: a constant of one element that changes nothing stands for none.
/// </summary>
internal static class OptionalInput
{
    /// <summary>Whether a node gives an input that says something.</summary>
    /// <param name="info">The node.</param>
    /// <param name="index">The input.</param>
    /// <param name="neutral">The number that stands for none.</param>
    public static unsafe bool IsGiven(in OrtKernelInfo info, int index, float neutral)
    {
        if (!info.HasInput(index))
        {
            return false;
        }

        OrtTensorView constant = info.ConstantInput(index);
        return !constant.IsPresent || constant.ElementCount != 1 || constant.ElementType != OrtElementType.Float
            || *(float*)constant.DataPointer != neutral;
    }
}
