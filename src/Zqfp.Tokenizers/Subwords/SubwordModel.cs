namespace Zqfp.Tokenizers;

/// <summary>Cuts words into subwords. Immutable; the work happens in a <see cref="SubwordWorker"/>.</summary>
internal interface ISubwordModel
{
    /// <summary>A worker with buffers of its own, for one caller at a time.</summary>
    SubwordWorker CreateWorker();
}

/// <summary>Encodes one word after another, reusing its buffers.</summary>
internal abstract class SubwordWorker
{
    /// <summary>Appends the ids of a non-empty word.</summary>
    public abstract void Encode(ReadOnlySpan<char> word, List<int> ids);
}
