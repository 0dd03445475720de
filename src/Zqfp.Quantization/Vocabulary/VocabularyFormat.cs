namespace Zqfp.Quantization;

/// <summary>How a matrix with a row for each token of the vocabulary is stored: the head's weight, or the embedding.</summary>
internal enum VocabularyFormat
{
    /// <summary>As it is.</summary>
    Float,

    /// <summary>FP8 E4M3 codes and one scale for each row.</summary>
    Fp8,
}
