using System.CommandLine;

namespace Zqfp.Tool;

/// <summary>What a mistyped command or option was probably meant to be.</summary>
internal static class Suggestions
{
    /// <summary>
    /// The name of a command (at the root) or of an option that is nearest to <paramref name="word"/>, or null where none is near:
    /// more than a third of its letters would have to change.
    /// </summary>
    public static string? For(string word, Command command)
    {
        IEnumerable<string> names = word.StartsWith('-')
            ? command.Options.Where(option => !option.Hidden).SelectMany(option => option.Aliases.Append(option.Name)).Where(name => name.StartsWith("--", StringComparison.Ordinal))
            : command.Subcommands.Where(subcommand => !subcommand.Hidden).Select(subcommand => subcommand.Name);
        (string? name, int distance) = names
            .Select(name => (name, Distance: Distance(word, name)))
            .OrderBy(candidate => candidate.Distance)
            .FirstOrDefault((name: null!, Distance: int.MaxValue));
        return name is not null && distance <= Math.Max(2, name.Length / 3) ? name : null;
    }

    /// <summary>Letters inserted, removed, replaced, or exchanged with their neighbour (optimal string alignment).</summary>
    internal static int Distance(string a, string b)
    {
        int[,] cost = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    cost[i, j] = i + j;
                    continue;
                }

                int replaced = cost[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                cost[i, j] = Math.Min(replaced, Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }

        return cost[a.Length, b.Length];
    }
}
