using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// Rewrites possessive quantifiers (<c>x?+</c>, <c>x*+</c>, <c>x++</c>), which tokenizers' patterns use and .NET lacks,
/// as atomic groups: <c>(?&gt;x?)</c>.
/// </summary>
internal static class PossessiveQuantifiers
{
    public static string ToAtomicGroups(string expression)
    {
        var rewritten = new StringBuilder(expression.Length + 16);
        var groups = new Stack<int>();
        int atom = -1;
        int position = 0;
        while (position < expression.Length)
        {
            char c = expression[position];
            int start = rewritten.Length;
            int end = c switch
            {
                '\\' => EndOfEscape(expression, position),
                '[' => EndOfClass(expression, position),
                _ => position + 1,
            };
            bool possessive = c is '?' or '*' or '+' && atom >= 0 && end < expression.Length && expression[end] == '+';
            if (possessive)
            {
                rewritten.Insert(atom, "(?>").Append(c).Append(')');
                position = end + 1;
                atom = -1;
                continue;
            }

            rewritten.Append(expression, position, end - position);
            position = end;
            switch (c)
            {
                case '(':
                    groups.Push(start);
                    atom = -1;
                    break;
                case ')':
                    atom = groups.TryPop(out int opening) ? opening : -1;
                    break;
                case '|' or '?' or '*' or '+' or '{' or '}' or '^' or '$':
                    atom = -1;
                    break;
                default:
                    atom = start;
                    break;
            }
        }

        return rewritten.ToString();
    }

    private static int EndOfEscape(string expression, int start)
    {
        bool named = start + 2 < expression.Length && expression[start + 1] is 'p' or 'P' && expression[start + 2] == '{';
        int end = named ? expression.IndexOf('}', start) : start + 1;
        return Math.Min(end < 0 ? expression.Length : end + 1, expression.Length);
    }

    private static int EndOfClass(string expression, int start)
    {
        // A bracket right after the opening (or its ^) is a member.
        int position = start + 1;
        position += position < expression.Length && expression[position] == '^' ? 1 : 0;
        position += position < expression.Length && expression[position] == ']' ? 1 : 0;
        while (position < expression.Length && expression[position] != ']')
        {
            position += expression[position] == '\\' ? 2 : 1;
        }

        return Math.Min(position + 1, expression.Length);
    }
}
