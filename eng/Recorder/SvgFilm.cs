using System.Globalization;
using System.Net;
using System.Text;

namespace Recorder;

/// <summary>
/// Pictures of a terminal as an SVG that shows one after the other, without a script: a strip of them that jumps upwards behind a window.
/// Where motion is not wanted, the last picture stands.
/// </summary>
internal static class SvgFilm
{
    private const double CharacterWidth = 8;
    private const double LineHeight = 18;
    private const double Margin = 14;

    private static readonly Dictionary<int, string> Colors = new()
    {
        [0] = "#d8dee4",
        [30] = "#6e7781",
        [31] = "#ff7b72",
        [32] = "#7ee787",
        [33] = "#e3b341",
        [34] = "#79c0ff",
        [35] = "#d2a8ff",
        [36] = "#76e3ea",
        [37] = "#d8dee4",
        [90] = "#8b949e",
        [91] = "#ffa198",
        [92] = "#7ee787",
        [93] = "#f2cc60",
        [94] = "#a5d6ff",
        [95] = "#e2c5ff",
        [96] = "#b3f0ff",
        [97] = "#ffffff",
    };

    public static string Of(IReadOnlyList<(double Seconds, List<Cell[]> Picture)> frames, int columns, int rows)
    {
        double width = columns * CharacterWidth + 2 * Margin, height = rows * LineHeight + 2 * Margin;
        double total = frames.Sum(frame => frame.Seconds);
        Dictionary<string, int> lines = [];
        var strip = new StringBuilder();
        var times = new StringBuilder();
        double time = 0;
        for (int i = 0; i < frames.Count; i++)
        {
            times.Append(Invariant($"{100 * time / total:0.###}%{{transform:translateY({-i * height:0.#}px)}}"));
            time += frames[i].Seconds;
            Cell[][] visible = [.. frames[i].Picture.SkipLast(frames[i].Picture[^1].Length == 0 ? 1 : 0).TakeLast(rows)];
            for (int row = 0; row < visible.Length; row++)
            {
                string line = Line(visible[row]);
                if (line.Length > 0)
                {
                    lines.TryAdd(line, lines.Count);
                    double y = i * height + Margin + (row + 0.75) * LineHeight;
                    strip.Append(Invariant($"<use href=\"#l{lines[line]}\" y=\"{y:0.#}\"/>"));
                }
            }

            strip.Append('\n');
        }

        string rule = "@keyframes film{" + times + "}";
        string animation = Invariant($"animation:film {total:0.#}s steps(1,end) infinite");
        string media = $"@media (prefers-reduced-motion:no-preference){{.strip{{{animation}}}}}";
        string definitions = string.Join('\n', lines.Select(line => $"<g id=\"l{line.Value}\">{line.Key}</g>"));
        return Invariant($$"""
            <svg xmlns="http://www.w3.org/2000/svg" width="{{width}}" height="{{height}}" viewBox="0 0 {{width}} {{height}}" role="img">
            <title>dotnet build fails because perplexity rose by more than 1 %, and passes with a limit of 5 %</title>
            <desc>Made by: dotnet run --project eng/Recorder -c Release -- gate docs/images/gate.svg</desc>
            <style>
            text{font:13px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre}
            .b{font-weight:bold}
            .strip{transform:translateY({{-(frames.Count - 1) * height}}px)}
            {{media}}
            {{rule}}
            </style>
            <defs>
            {{definitions}}
            </defs>
            <rect width="{{width}}" height="{{height}}" rx="8" fill="#0d1117"/>
            <svg width="{{width}}" height="{{height}}"><g class="strip">
            {{strip}}</g></svg>
            </svg>

            """);
    }

    private static string Line(Cell[] cells)
    {
        var line = new StringBuilder();
        for (int start = 0, end; start < cells.Length; start = end)
        {
            end = start + 1;
            while (end < cells.Length && cells[end].Look == cells[start].Look)
            {
                end++;
            }

            string text = string.Concat(cells[start..end].Select(cell => cell.Character));
            string trimmed = text.TrimEnd();
            if (trimmed.Length > 0)
            {
                string weight = cells[start].Look.IsBold ? " class=\"b\"" : "", color = Colors[cells[start].Look.Color];
                double x = Margin + start * CharacterWidth, length = trimmed.Length * CharacterWidth;
                line.Append(Invariant($"<text x=\"{x:0.#}\" textLength=\"{length:0.#}\" fill=\"{color}\"{weight}>"));
                line.Append(WebUtility.HtmlEncode(trimmed)).Append("</text>");
            }
        }

        return line.ToString();
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
