using System.Text.RegularExpressions;

namespace Recorder;

/// <summary>
/// Terminal sessions in a page: blocks whose lines are "$ command" and what the command printed. They are run in order, in one folder and a
/// terminal of 110 columns; numbers and bars differ from run to run and are not compared, nor is what "..." stands for.
/// </summary>
internal static partial class Sessions
{
    private const int Columns = 110;

    public static int Check(Workshop workshop, string page, bool update)
    {
        string text = File.ReadAllText(page);
        var terminal = new Terminal(workshop.CreateTour(), Columns, workshop.Environment);
        int differences = 0;
        string checkedText = Block().Replace(text, block =>
        {
            if (!block.Groups[1].Value.StartsWith("$ ", StringComparison.Ordinal))
            {
                return block.Value;
            }

            List<string> lines = [];
            int exitCode = 0;
            foreach (string part in Prompt().Split(block.Groups[1].Value).Where(part => part.Length > 0))
            {
                string[] shown = part.TrimEnd('\n').Split('\n');
                string[] printed = Printed(terminal, shown[0], ref exitCode);
                bool isSame = Matches(shown[1..], printed);
                differences += isSame ? 0 : 1;
                if (!isSame)
                {
                    string[] report = ["$ " + shown[0], "--- the page", .. shown[1..], "--- the terminal", .. printed, ""];
                    Console.WriteLine(string.Join('\n', report));
                }

                // Figures are brought up to date; where a part is left out, by hand.
                lines.AddRange(["$ " + shown[0], .. shown.Contains("...") ? shown[1..] : printed]);
            }

            return "```\n" + string.Join('\n', lines) + "\n```";
        });

        if (update)
        {
            File.WriteAllText(page, checkedText);
        }

        Console.WriteLine(differences == 0
            ? $"{page} is what a terminal shows."
            : $"{differences} commands print something else than {page} says.");
        return differences == 0 || update ? 0 : 1;
    }

    private static string[] Printed(Terminal terminal, string command, ref int exitCode)
    {
        if (command == "echo $?")
        {
            return [exitCode.ToString(System.Globalization.CultureInfo.InvariantCulture)];
        }

        Output output = terminal.Run(command);
        exitCode = output.ExitCode;
        var screen = new Screen(Columns);
        foreach ((_, string piece) in output.Pieces)
        {
            screen.Write(piece);
        }

        string[] lines = Busy().Replace(string.Join('\n', screen.Text), "").Split('\n');
        return [.. lines.Take(Array.FindLastIndex(lines, line => line.Length > 0) + 1)];
    }

    private static bool Matches(string[] shown, string[] printed)
    {
        string pattern = string.Join('\n', shown.Select(line => line == "..." ? "(?s:.*)" : Regex.Escape(Masked(line))));
        return Regex.IsMatch(string.Join('\n', printed.Select(Masked)), $"^{pattern}$");
    }

    private static string Masked(string line) => Spaces().Replace(Number().Replace(line, "#"), " ").Trim();

    [GeneratedRegex("(?s)```\n(.*?)\n```")]
    private static partial Regex Block();

    [GeneratedRegex(@"(?m)^\$ ")]
    private static partial Regex Prompt();

    [GeneratedRegex("[0-9]+([.:,][0-9]+)*|[█░▏▎▍▌▋▊▉]+")]
    private static partial Regex Number();

    /// <summary>Remarks on what else the machine was doing.</summary>
    [GeneratedRegex(@"(note: Waiting for another .*|  the machine is busy: .*\n    .*)\n")]
    private static partial Regex Busy();

    [GeneratedRegex(" +")]
    private static partial Regex Spaces();
}
