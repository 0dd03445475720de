using System.Globalization;
using System.Text;

namespace Zqfp.Build.Tasks;

/// <summary>
/// MSBuild's escaped form of text: <c>TaskItem</c> takes item specifications and metadata in it, and gives them back plain.
/// </summary>
internal static class Escaping
{
    private const string Special = "%*?@$();'";

    public static string Escape(string text)
    {
        if (text.IndexOfAny(Special.ToCharArray()) < 0)
        {
            return text;
        }

        var escaped = new StringBuilder(text.Length + 8);
        foreach (char character in text)
        {
            if (Special.IndexOf(character) >= 0)
            {
                escaped.Append('%').Append(((int)character).ToString("x2", CultureInfo.InvariantCulture));
            }
            else
            {
                escaped.Append(character);
            }
        }

        return escaped.ToString();
    }
}
