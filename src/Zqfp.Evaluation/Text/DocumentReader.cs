using System.Text;
using System.Text.Json;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation;

/// <summary>Reads the documents of a file or folder, one after another.</summary>
internal static class DocumentReader
{
    /// <summary>Characters that tell whether a file is text.</summary>
    private const int BeginningLength = 1 << 16;

    /// <exception cref="ZqfpException">ZQFP0109 to ZQFP0111.</exception>
    public static IEnumerable<SourceDocument> Read(TextSourceOptions options)
    {
        return FilesOf(options.Path).SelectMany(file => ReadFile(file, options));
    }

    private static string[] FilesOf(string path)
    {
        if (File.Exists(path))
        {
            return [path];
        }

        if (!Directory.Exists(path))
        {
            throw new ZqfpException(TextCodes.SourceUnreadable, $"The text '{path}' does not exist. Name a file or a folder.", path);
        }

        string[] files = [.. Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(path, file).Split('/', '\\').Any(part => part.StartsWith('.')))
            .OrderBy(file => Path.GetRelativePath(path, file).Replace('\\', '/'), StringComparer.Ordinal)];
        return files.Length > 0
            ? files
            : throw new ZqfpException(TextCodes.SourceUnreadable, $"The folder '{path}' has no files to read text from.", path);
    }

    private static IEnumerable<SourceDocument> ReadFile(string file, TextSourceOptions options)
    {
        TextFormat format = options.Format == TextFormat.Auto ? ByExtension(file) : options.Format;
        return format switch
        {
            TextFormat.JsonLines => ReadJsonLines(file, options.JsonField),
            TextFormat.Tokens16 => [new SourceDocument(file, null, TokenFile.ReadInt16(ReadBytes(file), file))],
            TextFormat.Tokens32 => [new SourceDocument(file, null, TokenFile.ReadInt32(ReadBytes(file), file))],
            TextFormat.NumPy => [new SourceDocument(file, null, TokenFile.ReadNpy(ReadBytes(file), file))],
            _ => ReadPlainText(file, options.DocumentMarker),
        };
    }

    private static TextFormat ByExtension(string file) => Path.GetExtension(file).ToUpperInvariant() switch
    {
        ".JSONL" or ".NDJSON" => TextFormat.JsonLines,
        ".I16" or ".U16" or ".BIN" => TextFormat.Tokens16,
        ".I32" or ".U32" => TextFormat.Tokens32,
        ".NPY" => TextFormat.NumPy,
        _ => TextFormat.PlainText,
    };

    private static IEnumerable<SourceDocument> ReadPlainText(string file, string? marker)
    {
        string text = ReadText(file);
        string[] documents = string.IsNullOrEmpty(marker) ? [text] : text.Split(marker, StringSplitOptions.RemoveEmptyEntries);
        return documents.Select(document => new SourceDocument(file, document, null));
    }

    private static IEnumerable<SourceDocument> ReadJsonLines(string file, string field)
    {
        int number = 0;
        foreach (string line in ReadText(file).Split('\n'))
        {
            number++;
            if (!string.IsNullOrWhiteSpace(line))
            {
                yield return new SourceDocument(file, ReadField(line, field, file, number), null);
            }
        }
    }

    private static string ReadField(string line, string field, string file, int number)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty(field, out JsonElement text)
                && text.ValueKind == JsonValueKind.String)
            {
                return text.GetString()!;
            }

            string found = root.ValueKind == JsonValueKind.Object
                ? $"it has {string.Join(", ", root.EnumerateObject().Select(property => $"'{property.Name}'").Take(10))}"
                : $"it is no object but {root.ValueKind}";
            throw new ZqfpException(TextCodes.JsonLineInvalid,
                $"Line {number} of '{file}' has no text in the field '{field}': {found}. Name the field that holds the text.", file);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new ZqfpException(TextCodes.JsonLineInvalid, $"Line {number} of '{file}' is not valid JSON: {exception.Message}",
                file, exception);
        }
    }

    private static string ReadText(string file)
    {
        try
        {
            // Recognizes byte order marks; without one the bytes must be UTF-8, and what is not (a PDF, an archive) is refused.
            using var reader = new StreamReader(file, new UTF8Encoding(false, throwOnInvalidBytes: true),
                detectEncodingFromByteOrderMarks: true);
            string text = reader.ReadToEnd();
            RequireText(text.AsSpan(0, Math.Min(text.Length, BeginningLength)), file);
            return text;
        }
        catch (DecoderFallbackException exception)
        {
            throw new ZqfpException(TextCodes.SourceUnreadable,
                $"'{file}' is not UTF-8 text: {exception.Message} Convert it, or name its format if it holds token ids.", file, exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(file, exception);
        }
    }

    /// <summary>
    /// Refuses what is valid UTF-8 and yet no text: UTF-16 without its mark, or numbers. A few NULs there are in any corpus.
    /// </summary>
    private static void RequireText(ReadOnlySpan<char> beginning, string file)
    {
        int nulls = beginning.Count('\0');
        if (nulls > beginning.Length / 8)
        {
            throw new ZqfpException(TextCodes.SourceUnreadable,
                $"'{file}' is not UTF-8 text: {nulls} of its first {beginning.Length} characters are NUL. Convert it, if it is UTF-16, or "
                + "name its format if it holds token ids.",
                file);
        }
    }

    private static byte[] ReadBytes(string file)
    {
        try
        {
            return File.ReadAllBytes(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(file, exception);
        }
    }

    private static ZqfpException Unreadable(string file, Exception exception) =>
        new ZqfpException(TextCodes.SourceUnreadable, $"The text '{file}' cannot be read: {exception.Message}", file, exception);
}
