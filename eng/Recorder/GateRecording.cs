namespace Recorder;

/// <summary>The picture of the README: a build whose gate fails, and one whose gate passes.</summary>
internal static class GateRecording
{
    private const int Columns = 100;
    private const int Rows = 26;

    /// <summary>Pictures of a command's progress, evenly taken; a minute is shown in seconds.</summary>
    private const int FramesOfACommand = 12;

    private static readonly string[] Commands =
    [
        "grep MaxPerplexityIncrease Stories.csproj",
        "dotnet build",
        "sed -i 's/\"1%\"/\"5%\"/' Stories.csproj",
        "dotnet build",
        "head -9 bin/Debug/net10.0/model/model.onnx.report.md",
    ];

    public static int Make(Workshop workshop, string file)
    {
        string project = workshop.CreateProject(limit: "1%");
        var terminal = new Terminal(project, Columns, workshop.Environment);
        var screen = new Screen(Columns);
        List<(double Seconds, List<Cell[]> Picture)> frames = [];
        foreach (string command in Commands)
        {
            screen.Write("\e[32m$\e[m ");
            for (int i = 0; i < command.Length; i += 3)
            {
                screen.Write(command.AsSpan(i, Math.Min(3, command.Length - i)));
                frames.Add((0.08, screen.Snapshot()));
            }

            screen.Write("\r\n");
            List<List<Cell[]>> pictures = [];
            foreach ((_, string text) in terminal.Run(command).Pieces)
            {
                screen.Write(Plainly(text, workshop.Folder));
                pictures.Add(screen.Snapshot());
            }

            for (int i = 1; i <= FramesOfACommand; i++)
            {
                int at = (int)((long)i * (pictures.Count - 1) / FramesOfACommand);
                if (at > (int)((long)(i - 1) * (pictures.Count - 1) / FramesOfACommand) && i < FramesOfACommand)
                {
                    frames.Add((0.4, pictures[at]));
                }
            }

            frames.Add((pictures.Count > 50 ? 4 : 1.2, screen.Snapshot()));
        }

        frames[^1] = (8, frames[^1].Picture);
        File.WriteAllText(file, SvgFilm.Of(frames, Columns, Rows));
        Console.WriteLine(string.Join('\n', screen.Text));
        return 0;
    }

    /// <summary>Where the recording was made is nobody's business.</summary>
    private static string Plainly(string text, string folder) => text.Replace(folder, "~", StringComparison.Ordinal);
}
