using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>The attribute <c>rotation</c> of a node: the block that its tokens are rotated in, or none.</summary>
internal readonly record struct TokenRotation
{
    private TokenRotation(int block) => Block = block;

    /// <summary>Values of a block; 0 for no rotation.</summary>
    public int Block { get; }

    /// <summary>Whether tokens stay as they are.</summary>
    public bool IsNone => Block == 0;

    /// <summary>Reads a node's attribute.</summary>
    /// <exception cref="ZqfpException">ZQFP4006: it is neither 0 nor a power of two from 2 to 256.</exception>
    public static TokenRotation Read(in OrtKernelInfo info)
    {
        long block = info.GetInt64(OperatorNames.Rotation, 0);
        return block == 0 || (block is > 0 and <= BlockHadamard.MaxBlock && BlockHadamard.Fits((int)block, (int)block))
            ? new TokenRotation((int)block)
            : throw new ZqfpException(
                "ZQFP4006", $"Attribute rotation must be 0 or a power of two from 2 to {BlockHadamard.MaxBlock}; it is {block}.");
    }

    /// <summary>Checks that whole blocks make up a token.</summary>
    /// <param name="columns">K.</param>
    /// <exception cref="ZqfpException">ZQFP4006: they do not.</exception>
    public void Require(int columns)
    {
        if (!IsNone && columns % Block != 0)
        {
            throw new ZqfpException(
                "ZQFP4006", $"Attribute rotation must divide the last dimension of X, which is {columns}; it is {Block}.");
        }
    }
}
