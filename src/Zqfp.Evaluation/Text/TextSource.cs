using System.Text;
using Microsoft.ML.Tokenizers;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation;

/// <summary>Reads text or pre-tokenized data into one stream of token ids.</summary>
internal static class TextSource
{
    private const string BlankLine = "\n\n";

    /// <summary>
    /// Loads a source. A plain text file is tokenized whole, once, without special tokens around it; tokens written in it,
    /// such as <c>&lt;|endoftext|&gt;</c>, are recognized where the tokenizer has them.
    /// </summary>
    /// <param name="options">What to read and how.</param>
    /// <param name="tokenizer">
    /// The model's tokenizer, of any kind; null is allowed for pre-tokenized data. Special tokens that it would put around a text are
    /// left out: the source places them itself.
    /// </param>
    /// <param name="cancellation">
    /// Ends reading and tokenizing; heard within a second with our own tokenizers, else between documents.
    /// </param>
    /// <exception cref="ZqfpException">ZQFP0109 to ZQFP0117.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static TokenStream Load(TextSourceOptions options, Tokenizer? tokenizer, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        return Load(options, tokenizer is null ? null : new TextTokenizer(tokenizer, cancellation));
    }

    private static TokenStream Load(TextSourceOptions options, TextTokenizer? tokenizer)
    {
        if (options.MaxTokens is < 1)
        {
            throw new ZqfpException(TextCodes.OptionsInvalid, $"At most {options.MaxTokens} tokens were asked for. Ask for 1 or more.");
        }

        if (tokenizer is not null)
        {
            RequireOwn(tokenizer, options);
        }

        int? beginning = options.Beginning switch
        {
            BeginningPolicy.None => null,
            BeginningPolicy.Auto => tokenizer?.SequenceBeginningId,
            _ => RequireBeginning(options, tokenizer),
        };
        bool isText = true;
        var ids = new List<int>();
        if (options.Beginning == BeginningPolicy.Text)
        {
            ids.Add(beginning!.Value);
        }

        int documents = 0;
        foreach (SourceDocument document in Join(DocumentReader.Read(options).Select(Count), options, tokenizer))
        {
            Append(document, options, tokenizer, beginning, ids);
            isText &= document.Ids is null;
            if (ids.Count >= options.MaxTokens)
            {
                break;
            }
        }

        int kept = Math.Min(ids.Count, options.MaxTokens ?? int.MaxValue);
        return kept > 0
            ? new TokenStream
            {
                Ids = [.. ids[..kept]],
                Source = options.Path,
                Documents = documents,
                WindowBeginningId = options.Beginning switch
                {
                    BeginningPolicy.Window => beginning,
                    BeginningPolicy.Auto when isText => beginning,
                    _ => null,
                },
            }
            : throw new ZqfpException(TextCodes.SourceUnreadable, $"The text '{options.Path}' is empty.", options.Path);

        SourceDocument Count(SourceDocument document)
        {
            documents++;
            return document;
        }
    }

    /// <summary>Where documents are separated by text, joins them, so that they are tokenized as one.</summary>
    private static IEnumerable<SourceDocument> Join(
        IEnumerable<SourceDocument> documents, TextSourceOptions options, TextTokenizer? tokenizer)
    {
        string? separator = options.DocumentSeparator ?? (tokenizer?.EndId is null ? BlankLine : null);
        var joined = new StringBuilder();
        foreach (SourceDocument document in documents)
        {
            if (document.Text is null && joined.Length > 0)
            {
                yield return new SourceDocument(options.Path, joined.ToString(), null);
                joined.Clear();
            }

            bool keepsApart = document.Text is null || separator is null || options.Beginning == BeginningPolicy.Document;
            if (keepsApart)
            {
                yield return document;
            }
            else
            {
                joined.Append(joined.Length > 0 ? separator : string.Empty).Append(document.Text);
            }
        }

        if (joined.Length > 0)
        {
            yield return new SourceDocument(options.Path, joined.ToString(), null);
        }
    }

    private static void Append(SourceDocument document, TextSourceOptions options, TextTokenizer? tokenizer, int? beginning, List<int> ids)
    {
        int before = ids.Count;
        if (document.Ids is { } ready)
        {
            if (options.Beginning == BeginningPolicy.Document)
            {
                throw new ZqfpException(TextCodes.OptionsInvalid,
                    $"'{document.File}' holds token ids, which do not show where documents begin. Choose --bos none, text or window.",
                    document.File);
            }

            ids.AddRange(ready);
        }
        else
        {
            if (tokenizer is null)
            {
                throw new ZqfpException(TextCodes.TokenizerLacks,
                    $"'{document.File}' is text, but no tokenizer was given. Name the model's tokenizer.json or tokenizer.model, or give "
                    + "pre-tokenized data.",
                    document.File);
            }

            try
            {
                AppendText(document.Text!, options, tokenizer, beginning, ids);
            }
            catch (ZqfpException e) when (e.File is null)
            {
                throw new ZqfpException(e.Code, e.Message, document.File, e);
            }
        }

        Check(document.File, options.ModelVocabularySize, tokenizer, ids, before);
    }

    /// <summary>
    /// Refuses a tokenizer that has less than half of the model's ids, or more than twice as many: a model's vocabulary is padded by a few
    /// per cent, and what a foreign tokenizer makes are valid ids of other words. Data that is tokenized already does not need it, except
    /// for the token that windows begin with; a foreign one beside it is a mistake all the same.
    /// </summary>
    private static void RequireOwn(TextTokenizer tokenizer, TextSourceOptions options)
    {
        if (tokenizer.VocabularySize is { } size && options.ModelVocabularySize is { } rows && (size < rows / 2 || size / 2 > rows))
        {
            throw new ZqfpException(TextCodes.TokenizerForeign,
                $"The tokenizer has {size} ids and the model's vocabulary {rows}: it is another model's. Give the model's own "
                + "tokenizer.",
                options.Path);
        }
    }

    private static void AppendText(string text, TextSourceOptions options, TextTokenizer tokenizer, int? beginning, List<int> ids)
    {
        bool followsText = ids.Count > (options.Beginning == BeginningPolicy.Text ? 1 : 0);
        if (followsText)
        {
            if (options.DocumentSeparator is { } separator)
            {
                ids.AddRange(tokenizer.Encode(separator));
            }
            else if (tokenizer.EndId is { } end && ids[^1] != end)
            {
                ids.Add(end);
            }
        }

        if (options.Beginning == BeginningPolicy.Document)
        {
            ids.Add(beginning!.Value);
        }

        ids.AddRange(tokenizer.Encode(text));
    }

    private static void Check(string file, int? vocabulary, TextTokenizer? tokenizer, List<int> ids, int from)
    {
        if (vocabulary is not { } rows)
        {
            return;
        }

        int position = ids.FindIndex(from, id => id >= rows);
        if (position >= 0)
        {
            string spelling = tokenizer?.TokenOf(ids[position]) is { } token ? $" ('{token}')" : string.Empty;
            string advice = tokenizer is null ? "Give data that was tokenized for this model."
                : tokenizer.VocabularySize is { } size ? $"The tokenizer has {size} ids: give the model's own tokenizer."
                : "Give the model's own tokenizer.";
            throw new ZqfpException(TextCodes.TokenOutsideVocabulary,
                $"Token {ids[position]}{spelling} at position {position - from} of '{file}' is outside the model's vocabulary of {rows}. "
                + advice,
                file);
        }
    }

    private static int RequireBeginning(TextSourceOptions options, TextTokenizer? tokenizer)
    {
        return tokenizer?.BeginningId ?? throw new ZqfpException(TextCodes.TokenizerLacks,
            $"'{options.Path}' should get a beginning-of-sequence token (--bos {options.Beginning.ToString().ToLowerInvariant()}), but "
            + (tokenizer is null ? "no tokenizer was given" : "the tokenizer names none")
            + ". Choose --bos none, or a tokenizer that has one.");
    }
}
