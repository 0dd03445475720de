using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

public sealed class LayerStoreTests : IDisposable
{
    private static readonly LayerKey Key = new("00ff");

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_layer_comes_back_as_it_was_kept()
    {
        using var store = new LayerStore(_folder, isTemporary: false);
        QuantizedLayerResult kept = Sample() with { Ridge = 0.3 };
        kept = kept with { Tensors = kept.Tensors with { Rotation = 4 } };
        store.Write(Key, kept);
        QuantizedLayerResult read = store.Read(Key, kept.Tensors.Layer)!;
        Assert.Equal(kept.Tensors.Codes.ToArray(), read.Tensors.Codes.ToArray());
        Assert.Equal(kept.Tensors.Exponents!.Value.ToArray(), read.Tensors.Exponents!.Value.ToArray());
        Assert.Equal(kept.Tensors.Scales.ToArray(), read.Tensors.Scales.ToArray());
        Assert.Equal(kept.Tensors.Down.ToArray(), read.Tensors.Down.ToArray());
        Assert.Equal(kept.Tensors.Up.ToArray(), read.Tensors.Up.ToArray());
        Assert.Equal(kept.Tensors.Values!.Value.ToArray(), read.Tensors.Values!.Value.ToArray());
        Assert.Equal(kept.Activations, read.Activations);
        Assert.Equal(kept.Report(EmissionProfile.Custom), read.Report(EmissionProfile.Custom));
        Assert.Equal(kept.Warnings, read.Warnings);
    }

    [Fact]
    public void What_a_layer_lacks_it_lacks_when_it_comes_back()
    {
        using var store = new LayerStore(_folder, isTemporary: false);
        QuantizedLayerResult kept = Sample();
        QuantizedLayerResult back = store.Write(
            Key, kept with { Tensors = kept.Tensors with { Exponents = null, Values = null }, Activations = null });
        QuantizedLayerTensors read = back.Tensors;
        Assert.Null(back.Activations);
        Assert.False(read.Exponents.HasValue);
        Assert.False(read.Values.HasValue);
    }

    [Fact]
    public void A_file_cut_anywhere_counts_as_absent()
    {
        using var store = new LayerStore(_folder, isTemporary: false);
        QuantizedLayerResult kept = Sample();
        store.Write(Key, kept);
        string path = Directory.GetFiles(_folder).Single();
        byte[] whole = File.ReadAllBytes(path);
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Null(store.Read(Key, kept.Tensors.Layer));
        }
    }

    [Fact]
    public void A_temporary_folder_forgets_what_an_earlier_run_left_and_goes_at_the_end()
    {
        string folder = Path.Combine(_folder, "temporary");
        QuantizedLayerResult written;
        using (var store = new LayerStore(folder, isTemporary: true))
        {
            Assert.False(Directory.Exists(folder));
            written = store.Write(Key, Sample());
            Assert.Equal(Sample().Tensors.Scales.ToArray(), written.Tensors.Scales.ToArray());
            Assert.Null(store.Read(Key, written.Tensors.Layer));
        }

        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public void A_folder_that_is_a_file_is_ZQFP0007()
    {
        string path = Path.Combine(_folder, "file");
        File.WriteAllText(path, "");
        Assert.Equal("ZQFP0007", Assert.Throws<ZqfpException>(() => new LayerStore(path, isTemporary: false).Write(Key, Sample())).Code);
    }

    private static QuantizedLayerResult Sample()
    {
        var layer = new LinearLayer
        {
            Name = "layer",
            Nodes = [],
            Input = "x",
            Output = "y",
            Source = new ConstantWeight(new TensorProto(), null, [], Transposed: false, TensorProto.Types.DataType.Float, ["w"]),
            StoredInputMajor = false,
            InFeatures = 4,
            OutFeatures = 2,
            Type = DataType.Float,
        };
        var tensors = new QuantizedLayerTensors
        {
            Layer = layer,
            CodesType = WeightCodes.Fp4E2M1,
            Codes = new byte[] { 1, 2, 3, 4 },
            Values = new float[] { 1, -2, 3, 4, 5, 6, 7, 8 },
            GroupSize = 4,
            Exponents = new byte[] { 0, 3 },
            Scales = new float[] { 0.5f, -2f },
            Rank = 1,
            Down = new Half[] { (Half)1, (Half)2, (Half)3, (Half)4 },
            Up = new Half[] { (Half)5, (Half)6 },
            Activations = ActivationRounding.Fp8,
        };
        return new QuantizedLayerResult(tensors, 0.25, new ActivationRange(8, 1, 2, 4, 0.5f, 3),
            [new Diagnostic("ZQFP2102", DiagnosticSeverity.Warning, "clamped", "m.onnx")]);
    }
}
