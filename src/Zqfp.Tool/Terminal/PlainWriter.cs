using System.Text;

namespace Zqfp.Tool;

/// <summary>
/// A standard stream that lets no control character through: what the tool prints has names of models and files in it. On a terminal its
/// own colors pass, and at the beginning of a text the command that begins a line anew.
/// </summary>
/// <param name="inner">The stream.</param>
/// <param name="isTerminal">Whether it is a terminal.</param>
/// <param name="mayBeLost">
/// Whether the work goes on where nothing can be written, because the terminal is gone, the stream is closed or the log's disk is full:
/// progress is worth less than what it is about.
/// </param>
internal sealed class PlainWriter(TextWriter inner, bool isTerminal, bool mayBeLost = false) : TextWriter
{
    /// <summary>Goes to the beginning of the line and clears it.</summary>
    public const string LineAnew = "\r\u001b[K";

    private const int ColorLength = 5;

    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) =>
        Attempt(static (inner, text) => inner.Write(text), value is '\r' ? string.Empty : PrintableText.Of(value.ToString()));

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void Write(string? value) => Attempt(static (inner, text) => inner.Write(text), Filter(value ?? string.Empty));

    public override void WriteLine(string? value) => Attempt(static (inner, text) => inner.WriteLine(text), Filter(value ?? string.Empty));

    public override void Flush() => Attempt(static (inner, _) => inner.Flush(), string.Empty);

    private void Attempt(Action<TextWriter, string> write, string text)
    {
        try
        {
            write(inner, text);
        }
        catch (Exception exception) when (mayBeLost && (exception is IOException or UnauthorizedAccessException))
        {
            // A later line may find room again.
        }
        catch (IOException exception)
        {
            throw new IOException($"Standard output cannot be written: {exception.Message}", exception.HResult);
        }
        catch (UnauthorizedAccessException)
        {
            throw new IOException("Standard output cannot be written: it is closed, or open for reading only.");
        }
    }

    private string Filter(string text)
    {
        text = text.Replace("\r\n", "\n", StringComparison.Ordinal);
        if (!isTerminal)
        {
            return PrintableText.Of(text);
        }

        var result = new StringBuilder(text.Length);
        if (text.StartsWith(LineAnew, StringComparison.Ordinal))
        {
            result.Append(LineAnew);
            text = text[LineAnew.Length..];
        }

        for (int escape; (escape = text.IndexOf('\u001b', StringComparison.Ordinal)) >= 0;)
        {
            result.Append(PrintableText.Of(text[..escape]));
            int length = ColorAt(text.AsSpan(escape));
            result.Append(length > 0 ? text.AsSpan(escape, length) : "\uFFFD");
            text = text[(escape + Math.Max(1, length))..];
        }

        return result.Append(PrintableText.Of(text)).ToString();
    }

    /// <summary>Characters of a color of <see cref="Style"/> that the text begins with, or of a color's end; 0 for others.</summary>
    private static int ColorAt(ReadOnlySpan<char> text) =>
        text.StartsWith("\u001b[0m", StringComparison.Ordinal) ? ColorLength - 1
        : text.Length >= ColorLength && text[1] == '[' && text[2] == '3' && text[3] is >= '1' and <= '3' && text[4] == 'm' ? ColorLength
        : 0;
}
