using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Recorder;

/// <summary>What a command wrote to a terminal, in pieces, each with the seconds since the one before.</summary>
internal sealed record Output(IReadOnlyList<(double Seconds, string Text)> Pieces, int ExitCode);

/// <summary>Runs commands in a pseudo-terminal, by util-linux's <c>script</c>, which writes down what they print and when.</summary>
internal sealed class Terminal(string folder, int columns, IReadOnlyDictionary<string, string> environment)
{
    public Output Run(string command)
    {
        string output = Path.GetTempFileName(), timing = Path.GetTempFileName();
        var start = new ProcessStartInfo("script",
        [
            "--quiet", "--return", "--log-out", output, "--log-timing", timing, "--logging-format", "classic", "--command",
            $"stty cols {columns} rows 40; {command}",
        ])
        { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        start.Environment["TERM"] = "xterm-256color";
        using Process process = Process.Start(start)!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        byte[] bytes = File.ReadAllBytes(output);
        int position = bytes.AsSpan().IndexOf((byte)'\n') + 1; // The first line is script's own.
        Decoder decoder = Encoding.UTF8.GetDecoder();
        List<(double, string)> pieces = [];
        foreach (string[] line in File.ReadLines(timing).Select(line => line.Split(' ')))
        {
            int length = int.Parse(line[1], CultureInfo.InvariantCulture);
            char[] characters = new char[length + 1];
            int count = decoder.GetChars(bytes, position, length, characters, 0);
            pieces.Add((double.Parse(line[0], CultureInfo.InvariantCulture), new string(characters, 0, count)));
            position += length;
        }

        File.Delete(output);
        File.Delete(timing);
        return new Output(pieces, process.ExitCode);
    }
}
