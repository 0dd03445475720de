namespace Zqfp.CudaOps;

/// <summary>The same chunk of some laid-out tokens.</summary>
internal unsafe struct TokenChunk
{
    /// <summary>The first one's head of the chunk.</summary>
    public TokenDigits.ChunkHead* Head;

    /// <summary>The first one's digits of the chunk.</summary>
    public sbyte* Digits;

    /// <summary>Bytes from a token to the next.</summary>
    public required nint Stride;

    /// <summary>How many tokens there are.</summary>
    public required int Rows;

    /// <summary>Columns of the chunk.</summary>
    public required int Columns;

    /// <summary>Goes on to the next token.</summary>
    public void MoveOn()
    {
        Head = (TokenDigits.ChunkHead*)((byte*)Head + Stride);
        Digits += Stride;
    }
}
