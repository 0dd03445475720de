using Google.Protobuf;

namespace Zqfp.Tokenizers;

/// <summary>Kinds of pieces, numbered as in <c>sentencepiece_model.proto</c>.</summary>
internal enum PieceKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>Kinds of models, numbered as in <c>sentencepiece_model.proto</c>.</summary>
internal enum SentencePieceKind
{
    Unigram = 1,
    Bpe = 2,
    Word = 3,
    Char = 4,
}

/// <summary>One entry of the vocabulary; its id is its place.</summary>
internal readonly record struct SentencePiece(string Text, double Score, PieceKind Kind);

/// <summary>What encoding needs of a SentencePiece <c>ModelProto</c>, with the defaults its definition gives.</summary>
internal sealed class SentencePieceProto
{
    public List<SentencePiece> Pieces { get; } = [];

    public SentencePieceKind Kind { get; private set; } = SentencePieceKind.Unigram;

    public bool ByteFallback { get; private set; }

    public bool WhitespaceIsSuffix { get; private set; }

    public int BeginningId { get; private set; } = 1;

    public int EndId { get; private set; } = 2;

    public string UnknownSurface { get; private set; } = " \u2047 ";

    public byte[] CharsMap { get; private set; } = [];

    public bool AddDummyPrefix { get; private set; } = true;

    public bool RemoveExtraWhitespaces { get; private set; } = true;

    public bool EscapeWhitespaces { get; private set; } = true;

    /// <exception cref="InvalidProtocolBufferException">The bytes are damaged or of another format.</exception>
    public static SentencePieceProto Parse(byte[] content)
    {
        var proto = new SentencePieceProto();
        ReadMessage(new CodedInputStream(content), (field, input) => field switch
        {
            1 => proto.ReadPiece(input),
            2 => ReadMessage(Nested(input), proto.ReadTrainer),
            3 => ReadMessage(Nested(input), proto.ReadNormalizer),
            _ => false,
        });
        return proto;
    }

    /// <summary>Hands every field to the reader and skips those it does not take.</summary>
    private static bool ReadMessage(CodedInputStream input, Func<int, CodedInputStream, bool> readField)
    {
        uint tag;
        while ((tag = input.ReadTag()) != 0)
        {
            if (!readField(WireFormat.GetTagFieldNumber(tag), input))
            {
                input.SkipLastField();
            }
        }

        return true;
    }

    private static CodedInputStream Nested(CodedInputStream input) => input.ReadBytes().CreateCodedInput();

    private bool ReadPiece(CodedInputStream outer)
    {
        string text = string.Empty;
        float score = 0;
        PieceKind kind = PieceKind.Normal;
        ReadMessage(Nested(outer), (field, input) =>
        {
            switch (field)
            {
                case 1:
                    text = input.ReadString();
                    return true;
                case 2:
                    score = input.ReadFloat();
                    return true;
                case 3:
                    kind = (PieceKind)input.ReadEnum();
                    return true;
                default:
                    return false;
            }
        });
        Pieces.Add(new SentencePiece(text, score, kind));
        return true;
    }

    private bool ReadTrainer(int field, CodedInputStream input)
    {
        switch (field)
        {
            case 3:
                Kind = (SentencePieceKind)input.ReadEnum();
                return true;
            case 24:
                WhitespaceIsSuffix = input.ReadBool();
                return true;
            case 35:
                ByteFallback = input.ReadBool();
                return true;
            case 41:
                BeginningId = input.ReadInt32();
                return true;
            case 42:
                EndId = input.ReadInt32();
                return true;
            case 44:
                UnknownSurface = input.ReadString();
                return true;
            default:
                return false;
        }
    }

    private bool ReadNormalizer(int field, CodedInputStream input)
    {
        switch (field)
        {
            case 2:
                CharsMap = input.ReadBytes().ToByteArray();
                return true;
            case 3:
                AddDummyPrefix = input.ReadBool();
                return true;
            case 4:
                RemoveExtraWhitespaces = input.ReadBool();
                return true;
            case 5:
                EscapeWhitespaces = input.ReadBool();
                return true;
            default:
                return false;
        }
    }
}
