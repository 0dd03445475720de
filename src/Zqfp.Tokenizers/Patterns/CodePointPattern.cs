using System.Buffers;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Zqfp.Tokenizers;

/// <summary>
/// A pattern in Oniguruma's syntax, or a literal, that finds what the reference implementation finds. A search that backtracks without
/// end goes on in linear time where .NET can do so with the pattern, and ends with a diagnostic where it cannot.
/// </summary>
internal sealed class CodePointPattern
{
    // Every cancellation is heard within one of these.
    private static readonly TimeSpan LongestMatch = TimeSpan.FromMilliseconds(900);

    // A machine that stood still must not make a good pattern look like a bad one.
    private const int Attempts = 3;

    // Searches run at 5 to 200 MB/s; one a hundred times slower than the slowest backtracks.
    private const double SlowestCharactersPerSecond = 50_000;

    private readonly string _pattern;
    private readonly CodePointAlphabet _alphabet;
    private readonly Lazy<Regex?> _linear;
    private volatile Regex _expression;

    private CodePointPattern(string pattern, PatternNode node)
    {
        _pattern = pattern;
        (string expression, _alphabet) = PatternEmitter.Emit(node);
        _expression = new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.Compiled, LongestMatch);
        _linear = new Lazy<Regex?>(() => CreateLinear(expression));
    }

    /// <exception cref="PatternException">The pattern is broken, or cannot be translated exactly.</exception>
    public static CodePointPattern FromRegex(string pattern) => new(pattern, PatternParser.Parse(pattern));

    /// <summary>Finds each code point of a set.</summary>
    public static CodePointPattern FromSet(CodePointSet set) => new("a set of characters", new PatternNode.Set(set));

    public static CodePointPattern FromLiteral(string literal) => new(literal, new PatternNode.Sequence(
        [.. literal.EnumerateRunes().Select(rune => new PatternNode.Set(CodePointSet.Of(rune.Value)))]));

    /// <summary>
    /// The matches as (start, length), in UTF-16 units of <paramref name="text"/>, in order. Empty ones are among them, though not where
    /// another match ends.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP0115: the search backtracks without end on this text.</exception>
    /// <exception cref="OperationCanceledException">The caller no longer wants the result.</exception>
    public List<(int Start, int Length)> Matches(ReadOnlySpan<char> text, CancellationToken cancellation = default)
    {
        bool corresponds = text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0;
        char[] letters = ArrayPool<char>.Shared.Rent(text.Length);
        int[] starts = corresponds ? [] : new int[text.Length + 1];
        try
        {
            int count = _alphabet.Write(text, letters, starts);
            List<(int Start, int Length)> matches = Search(letters.AsSpan(0, count), cancellation);
            for (int i = 0; i < matches.Count && !corresponds; i++)
            {
                (int start, int length) = matches[i];
                matches[i] = (starts[start], starts[start + length] - starts[start]);
            }

            return matches;
        }
        finally
        {
            ArrayPool<char>.Shared.Return(letters);
        }
    }

    private List<(int Start, int Length)> Search(ReadOnlySpan<char> letters, CancellationToken cancellation)
    {
        var matches = new List<(int Start, int Length)>();
        TimeSpan budget = Attempts * LongestMatch + TimeSpan.FromSeconds(letters.Length / SlowestCharactersPerSecond);
        long began = Stopwatch.GetTimestamp();
        int failures = 0;
        int from = 0;
        while (!TryContinue(letters, matches, ref from, began, budget, cancellation))
        {
            cancellation.ThrowIfCancellationRequested();
            failures++;
            if (_linear.Value is { } linear && linear != _expression)
            {
                _expression = linear;
            }
            else if (failures >= Attempts || Stopwatch.GetElapsedTime(began) > budget)
            {
                throw new ZqfpException(TextCodes.PatternTooSlow,
                    $"The tokenizer's pattern '{_pattern}' does not come to an end on this text: it backtracks. Give pre-tokenized data "
                    + "instead.");
            }
        }

        return matches;
    }

    /// <summary>Appends the matches from an index on; false where one of them took too long, with the index after the last.</summary>
    private bool TryContinue(
        ReadOnlySpan<char> letters, List<(int Start, int Length)> matches, ref int from, long began, TimeSpan budget,
        CancellationToken cancellation)
    {
        Regex expression = _expression;
        try
        {
            int end = matches.Count > 0 ? matches[^1].Start + matches[^1].Length : -1;
            int number = 0;
            foreach (ValueMatch match in expression.EnumerateMatches(letters, from))
            {
                if (match.Length > 0 || match.Index != end)
                {
                    matches.Add((match.Index, match.Length));
                    end = match.Index + match.Length;
                }

                from = match.Index + Math.Max(1, match.Length);
                if ((++number & 0x3F) == 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                    if (expression.Options.HasFlag(RegexOptions.Compiled) && Stopwatch.GetElapsedTime(began) > budget)
                    {
                        return false;
                    }
                }
            }

            return true;
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }
    }

    private static Regex? CreateLinear(string expression)
    {
        try
        {
            return new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, LongestMatch);
        }
        catch (NotSupportedException)
        {
            return null;
        }
    }
}
