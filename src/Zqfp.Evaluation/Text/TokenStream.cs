using System.Diagnostics.CodeAnalysis;

namespace Zqfp.Evaluation;

/// <summary>The token ids of a text source, in order.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "The field's word for ids in order; no System.IO.Stream is meant.")]
internal sealed record TokenStream
{
    /// <summary>The ids.</summary>
    public required int[] Ids { get; init; }

    /// <summary>The file or folder they come from.</summary>
    public required string Source { get; init; }

    /// <summary>How many documents were read.</summary>
    public required int Documents { get; init; }

    /// <summary>The token every window begins with, under <see cref="BeginningPolicy.Window"/>; else null.</summary>
    public int? WindowBeginningId { get; init; }
}
