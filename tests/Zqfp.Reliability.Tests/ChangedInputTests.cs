using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.Quantization;

namespace Zqfp.Reliability.Tests;

/// <summary>Inputs that change while a run reads them: what comes out belongs to one content, or nothing comes out.</summary>
public sealed class ChangedInputTests
{
    private static readonly string[] Phases = ["Quantizing", "Evaluating the float model", "Evaluating the quantized model"];

    [Fact]
    public void A_model_or_a_text_that_changes_while_it_is_quantized_gives_nothing_or_the_model_of_one_content()
    {
        using var trial = new Trial();
        byte[] model = File.ReadAllBytes(trial.Model);
        byte[] text = File.ReadAllBytes(trial.Calibration);
        byte[] otherModel = OtherModel(model);
        byte[] otherText = [.. text.Chunk(sizeof(short)).Reverse().SelectMany(token => token)];
        byte[][] right = [.. from m in (byte[][])[model, otherModel] from t in (byte[][])[text, otherText] select Quantized(trial, m, t)];
        int refused = 0;
        int trials = Effort.Trials(12);
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            Reset(trial, model, text);
            bool isModel = random.Next(3) > 0;
            string changed = isModel ? trial.Model : trial.Calibration;
            byte[] other = isModel ? otherModel : otherText;
            int report = random.Next(16);
            int kind = random.Next(5);
            int reports = 0;
            var observer = new Observer(_ =>
            {
                if (reports++ == report)
                {
                    Change(changed, other, kind);
                }
            });
            string trace = $"Trial {i}: {Path.GetFileName(changed)}, change {kind} at report {report}";
            try
            {
                QuantizeJob.Run(trial.QuantizeOptions, observer, CancellationToken.None);
            }
            catch (ZqfpException e)
            {
                refused++;
                Assert.True(trial.OutputBytes is null, $"{trace}: an output beside {e.Code}.");
            }

            Assert.True(trial.OutputBytes is null || trial.OutputIsOneOf(right), $"{trace}: a mixed model.");

            // What was kept belongs to the content of its key: the next run, over whichever content is there, gives that content's model.
            Reset(trial, random.Next(2) == 0 ? model : otherModel, random.Next(2) == 0 ? text : otherText, keepsWork: true);
            QuantizeJob.Run(trial.QuantizeOptions, new Observer(), CancellationToken.None);
            Assert.True(trial.OutputIsOneOf(right), $"{trace}: a poisoned work folder.");
            Assert.Empty(trial.Strays());
        }

        Effort.Report($"inputs changed during quantizing: {trials} ({refused} refused, the others too late to matter); 0 mixed models");
    }

    [Fact]
    public void A_model_that_changes_while_it_is_measured_gives_nothing_or_the_figures_of_one_content()
    {
        using var trial = new Trial();
        byte[] model = File.ReadAllBytes(trial.Model);
        byte[] other = OtherModel(model);
        QuantizeJob.Run(trial.QuantizeOptions with { WorkFolder = null }, new Observer(), CancellationToken.None);
        double[] right = [.. ((byte[][])[model, other]).Select(content =>
        {
            File.WriteAllBytes(trial.Model, content);
            return GateJob.Run(trial.GateOptions with { CacheFolder = null }, new Observer(), CancellationToken.None).Float!.Perplexity;
        })];
        Assert.NotEqual(right[0], right[1]);
        int refused = 0;
        int trials = Effort.Trials(6);
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            File.WriteAllBytes(trial.Model, model);
            string phase = Phases[random.Next(1, Phases.Length)];
            int kind = random.Next(5);
            bool done = false;
            var observer = new Observer(progress =>
            {
                if (!done && progress.Phase == phase)
                {
                    done = true;
                    Change(trial.Model, other, kind);
                }
            });
            try
            {
                double measured = GateJob.Run(trial.GateOptions, observer, CancellationToken.None).Float!.Perplexity;
                Assert.Contains(measured, right);
            }
            catch (ZqfpException)
            {
                refused++;
            }

            // From the cache or not: the figures of the content that is there.
            File.WriteAllBytes(trial.Model, model);
            Assert.Equal(right[0], GateJob.Run(trial.GateOptions, new Observer(), CancellationToken.None).Float!.Perplexity);
            File.WriteAllBytes(trial.Model, other);
            Assert.Equal(right[1], GateJob.Run(trial.GateOptions, new Observer(), CancellationToken.None).Float!.Perplexity);
            Directory.Delete(trial.Cache, recursive: true);
        }

        Effort.Report($"models changed during a gate: {trials} ({refused} refused); 0 mixed figures, 0 wrong entries kept");
    }

    [Fact]
    public void A_model_that_changes_while_it_is_verified_gives_no_verdict()
    {
        using var trial = new Trial();
        byte[] model = File.ReadAllBytes(trial.Model);
        byte[] other = OtherModel(model);
        QuantizeJob.Run(trial.QuantizeOptions with { WorkFolder = null }, new Observer(), CancellationToken.None);
        var options = new VerifyOptions
        {
            ReferencePath = trial.Model,
            ModelPath = trial.Output,
            Window = Trial.Window,
            Windows = 2,
            Threads = 1,
        };
        VerifyJob.Run(options, new Observer(), CancellationToken.None);
        int trials = Effort.Trials(1);
        for (int i = 0; i < trials; i++)
        {
            for (int kind = 0; kind < 5; kind++)
            {
                File.WriteAllBytes(trial.Model, model);
                var observer = new Observer(progress =>
                {
                    if (progress.Done == 0)
                    {
                        Change(trial.Model, other, kind);
                    }
                });
                Assert.Equal("ZQFP0018",
                    Assert.Throws<ZqfpException>(() => VerifyJob.Run(options, observer, CancellationToken.None)).Code);
            }
        }

        Effort.Report($"models changed during a verification: {5 * trials}; 0 verdicts");
    }

    /// <summary>What we read of a model's data is read, not touched where it is mapped: that would end the process.</summary>
    [Fact]
    public void Data_that_is_cut_while_it_is_read_is_a_change_and_no_death()
    {
        using var trial = new Trial();
        byte[] model = FuzzSeeds.WithExternalData(File.ReadAllBytes(trial.Model), out byte[] data);
        string weights = Path.Combine(trial.Folder, "weights");
        File.WriteAllBytes(trial.Model, model);
        QuantizeOptions options = trial.QuantizeOptions with
        {
            CalibrationPath = null,
            WorkFolder = null,
            LayerTarget = LayerTarget.None,
            Rotation = QuantizeOptions.NoRotation,
            Quantization = QuantizeOptionRules.WithoutCalibration(new()),
        };
        int refused = 0;
        for (int report = 0; report < 8; report++)
        {
            File.WriteAllBytes(weights, data);
            int reports = 0;
            var observer = new Observer(_ =>
            {
                if (reports++ == report)
                {
                    using FileStream file = File.OpenWrite(weights);
                    file.SetLength(0);
                }
            });
            try
            {
                QuantizeJob.Run(options, observer, CancellationToken.None);
                Assert.True(reports <= report, $"Data cut at report {report} went unnoticed.");
            }
            catch (ZqfpException e)
            {
                Assert.Equal("ZQFP0018", e.Code);
                Assert.Null(trial.OutputBytes);
                refused++;
            }
        }

        Assert.InRange(refused, 1, 8);
    }

    [Fact]
    public void A_process_whose_model_is_replaced_at_any_instant_gives_nothing_or_the_model_of_one_content()
    {
        using var trial = new Trial();
        byte[] model = File.ReadAllBytes(trial.Model);
        byte[] text = File.ReadAllBytes(trial.Calibration);
        byte[] other = OtherModel(model);
        byte[][] right = [.. ((byte[][])[model, other]).Select(content =>
        {
            Reset(trial, content, text);
            Assert.Equal(0, Tool.Run(trial.Quantize()).ExitCode);
            return trial.OutputBytes!;
        })];
        int refused = 0;
        int trials = Effort.Trials(2);
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            Reset(trial, model, text);
            using (Tool tool = Tool.Start(trial.Quantize("--work", trial.Work)))
            {
                Thread.Sleep(random.Next(200, 1500));
                Change(trial.Model, other, random.Next(2));
                ToolResult result = tool.Finish();
                Assert.True(result.IsCoded, result.Error);
                refused += result.ExitCode == 0 ? 0 : 1;
                Assert.True(result.ExitCode == 0 || trial.OutputBytes is null, result.Error);
            }

            Assert.True(trial.OutputBytes is null || trial.OutputIsOneOf(right), $"Trial {i}: a mixed model.");
            Assert.Empty(trial.Strays());
        }

        Effort.Report($"models replaced under a running process: {trials} ({refused} refused); 0 mixed models");
    }

    private static void Change(string path, byte[] other, int kind)
    {
        DateTime time = File.GetLastWriteTimeUtc(path);
        switch (kind)
        {
            case 0:
                File.WriteAllBytes(path, other);
                break;
            case 1:
                File.WriteAllBytes(path + ".new", other);
                File.Move(path + ".new", path, overwrite: true);
                break;
            case 2:
                using (FileStream file = File.OpenWrite(path))
                {
                    file.Write(other);
                }

                File.SetLastWriteTimeUtc(path, time);
                break;
            case 3:
                File.Delete(path);
                break;
            default:
                File.WriteAllBytes(path, other[..(other.Length / 2)]);
                break;
        }
    }

    private static byte[] Quantized(Trial trial, byte[] model, byte[] text)
    {
        Reset(trial, model, text);
        QuantizeJob.Run(trial.QuantizeOptions with { WorkFolder = null }, new Observer(), CancellationToken.None);
        return trial.OutputBytes!;
    }

    /// <summary>The same model with other weights: it has the same length and the same structure.</summary>
    private static byte[] OtherModel(byte[] content)
    {
        var model = ModelProto.Parser.ParseFrom(content);
        TensorProto weight = model.Graph.Initializer.Where(tensor => tensor.Dims.Count == 2 && tensor.HasRawData).MaxBy(
            tensor => tensor.RawData.Length)!;
        byte[] bytes = weight.RawData.ToByteArray();
        foreach (ref float value in MemoryMarshal.Cast<byte, float>(bytes.AsSpan()))
        {
            value *= -0.5f;
        }

        weight.RawData = ByteString.CopyFrom(bytes);
        byte[] other = model.ToByteArray();
        Assert.Equal(content.Length, other.Length);
        return other;
    }

    private static void Reset(Trial trial, byte[] model, byte[] text, bool keepsWork = false)
    {
        File.WriteAllBytes(trial.Model, model);
        File.WriteAllBytes(trial.Calibration, text);
        foreach (string folder in (string[])[trial.OutputFolder, .. keepsWork ? [] : (string[])[trial.Work]])
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }
}
