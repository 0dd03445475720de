namespace Zqfp.CudaOps;

/// <summary>The same chunk of some laid-out tokens.</summary>
internal readonly unsafe struct TokenChunk
{
    /// <summary>The first one's head of the chunk.</summary>
    public required TokenDigits.ChunkHead* Head { get; init; }

    /// <summary>The first one's digits of the chunk.</summary>
    public required sbyte* Digits { get; init; }

    /// <summary>Bytes from a token to the next.</summary>
    public required nint Stride { get; init; }

    /// <summary>How many tokens there are.</summary>
    public required int Rows { get; init; }

    /// <summary>Columns of the chunk.</summary>
    public required int Columns { get; init; }

    /// <summary>A token's head of the chunk.</summary>
    public TokenDigits.ChunkHead* HeadOf(int row) => (TokenDigits.ChunkHead*)((byte*)Head + (row * Stride));

    /// <summary>A token's digits of the chunk.</summary>
    public sbyte* DigitsOf(int row) => Digits + (row * Stride);
}
