using System.Globalization;
using System.Text.Json;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Writes what quantizing would do and need: text, or JSON.</summary>
internal static class PlanWriter
{
    public static void Write(QuantizePlan plan, bool json)
    {
        Console.Out.Write(json ? JsonSerializer.Serialize(plan, ResultJson.Readable.QuantizePlan) + "\n" : Describe(plan));
        foreach (Diagnostic warning in plan.Warnings)
        {
            DiagnosticWriter.Write(warning);
        }
    }

    private static string Describe(QuantizePlan plan)
    {
        string windows = plan.CalibrationWindows == 0
            ? "none needed"
            : string.Create(CultureInfo.InvariantCulture,
                $"{plan.CalibrationWindows} windows of {plan.Window} "
                + $"tokens{(plan.WindowsAreAssumed ? ", assumed: no text is named" : "")}");
        var table = new TextTable(["", ""]);
        table.Add("output", plan.Output);
        table.Add("recipe", plan.Model.Recipe);
        if (plan.Budget is { } budget)
        {
            table.Add("budget", budget);
        }

        table.Add("layers", string.Create(
            CultureInfo.InvariantCulture, $"{plan.Model.QuantizedLayers} of {plan.Model.Layers.Count}, in {plan.Stages} stages"));
        table.Add("calibration", windows);
        table.Add("size", string.Create(CultureInfo.InvariantCulture,
            $"{Sizes.Readable(plan.Model.FileBytes)} -> {Sizes.Readable(plan.OutputBytes)}, {plan.BitsPerWeight:0.00} bits per weight"));
        table.Add("memory", Describe(plan.Memory));
        table.Add("disk", Describe(plan.Disk));
        table.Add("time",
            string.Create(CultureInfo.InvariantCulture, $"about {Clock(plan.Seconds.Total)}: calibrating {Clock(plan.Seconds.Calibrate)}, "
                + $"quantizing {Clock(plan.Seconds.Quantize)}, reading and writing {Clock(plan.Seconds.Write)}"));
        if (plan.Shards.Count > 0)
        {
            table.Add("shards", string.Join("; ", plan.Shards.Select(shard => string.Create(CultureInfo.InvariantCulture,
                $"{shard.Name}: {(shard.Name == "merge" ? "" : $"{shard.Layers} layers, ")}about {Clock(shard.Seconds)}, "
                + $"{Sizes.Readable(shard.Memory)} of memory, {Sizes.Readable(shard.Disk)} of disk"))));
        }

        string rest = string.Join('\n', plan.Model.Layers.Where(layer => layer.Reason is not null)
            .Select(layer => $"  stays: {layer.Module ?? layer.Name}, {layer.Reason}"));
        string basis = string.Join('\n', plan.Basis.Select(line => $"  {line}"));
        return table.ToString(Style.Output.Width).TrimStart('\n')
            + Wrapping.Wrap((rest.Length > 0 ? rest + "\n" : "") + "estimates rest on\n" + basis + "\n", Style.Output.Width);
    }

    private static string Describe(Requirement requirement) =>
        $"about {Sizes.Readable(requirement.Needed)}{(requirement.Available is { } available ? $" of {Sizes.Readable(available)}" : "")}";

    /// <summary>Hours are not broken into days: plans of large models take several.</summary>
    internal static string Clock(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Ceiling(seconds));
        return time.TotalHours < 1
            ? time.ToString(@"m\:ss", CultureInfo.InvariantCulture)
            : string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalHours}:{time:mm\\:ss}");
    }
}
